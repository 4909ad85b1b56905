#include "gpu/kernels/bands.h"

#include <algorithm>

namespace meshattn::gpu {

namespace {

/// Keys that a query sees, neighbours in memory, and which run of contiguous spans they are in.
struct Seen {
  Interval keys;
  std::size_t run;
};

/// A block that grows query by query: the first key seen stands still and then moves with the query, the end of the
/// keys seen moves with the query and then stands still.
class Growing {
 public:
  Growing(std::int64_t query, Seen seen) : first_(query), run_(seen.run), begin_(seen.keys), last_(seen.keys) {}

  /// Takes the next query with its keys, if they go on as they must.
  bool take(Seen seen) {
    const Interval keys = seen.keys;
    const std::int64_t begin_step = keys.begin - last_.begin, end_step = keys.end - last_.end;
    const bool begin_goes_on = begin_step == 1 || (begin_step == 0 && begin_rises_at_ == 0);
    const bool end_goes_on = end_step == 0 || (end_step == 1 && !end_stands_);
    if (seen.run != run_ || !begin_goes_on || !end_goes_on) return false;
    if (begin_step == 1 && begin_rises_at_ == 0) begin_rises_at_ = queries_;
    end_stands_ |= end_step == 0;
    end_rose_ |= end_step == 1;
    last_ = keys;
    ++queries_;
    return true;
  }

  [[nodiscard]] BandBlock block() const {
    Band band;
    if (begin_rises_at_ > 0) band.lower = 1 - begin_rises_at_;
    if (end_rose_) band.upper = begin_.end - begin_.begin - 1;
    return {first_, queries_, begin_.begin, last_.end - begin_.begin, band};
  }

 private:
  std::int64_t first_;
  std::size_t run_;
  std::int64_t queries_ = 1;
  Interval begin_, last_;            ///< keys of the first and of the last query
  std::int64_t begin_rises_at_ = 0;  ///< the first query, counted from the first, whose keys begin later; 0: none yet
  bool end_rose_ = false;
  bool end_stands_ = false;
};

/// The keys of one query after the other, ascending.
class Sight {
 public:
  Sight(const Problem& problem, std::span<const CellSpan> keys) : problem_(problem) {
    std::int64_t at = 0;
    for (std::size_t k = 0; k < keys.size(); ++k) {
      tokens_.push_back(problem.kv_run(keys[k].cell));
      first_.push_back(at);
      run_.push_back(k == 0 ? 0 : run_.back() + (keys[k].contiguous ? 0 : 1));
      at += tokens_.back().count;
    }
  }

  void look_from(std::int64_t position, std::vector<Seen>& seen) const {
    seen.clear();
    const Interval positions = problem_.mask.keys_of(position);
    for (std::size_t k = 0; k < tokens_.size(); ++k) {
      Interval here = tokens_[k].indices_in(positions);
      if (here.begin >= here.end) continue;
      here = {here.begin + first_[k], here.end + first_[k]};
      if (!seen.empty() && seen.back().run == run_[k] && seen.back().keys.end == here.begin)
        seen.back().keys.end = here.end;
      else
        seen.push_back({here, run_[k]});
    }
  }

 private:
  const Problem& problem_;
  std::vector<TokenRun> tokens_;     ///< by span
  std::vector<std::int64_t> first_;  ///< by span: tokens before it
  std::vector<std::size_t> run_;     ///< by span: contiguous spans before it
};

}  // namespace

std::vector<BandBlock> bands_of(const Problem& problem, std::span<const CellSpan> queries,
                                std::span<const CellSpan> keys) {
  std::vector<BandBlock> blocks;
  const Sight sight(problem, keys);
  std::vector<Growing> growing;  // the k-th takes every query's k-th interval
  std::vector<Seen> seen;
  const auto close_from = [&](std::size_t first) {
    for (std::size_t k = first; k < growing.size(); ++k) blocks.push_back(growing[k].block());
    growing.erase(growing.begin() + static_cast<std::ptrdiff_t>(std::min(first, growing.size())), growing.end());
  };
  std::int64_t query = 0;
  for (const CellSpan& span : queries) {
    if (!span.contiguous) close_from(0);
    const TokenRun run = problem.q_run(span.cell);
    for (std::int64_t i = 0; i < run.count; ++i, ++query) {
      sight.look_from(run.start + i * run.stride, seen);
      close_from(seen.size());
      for (std::size_t k = 0; k < seen.size(); ++k) {
        if (k == growing.size()) {
          growing.emplace_back(query, seen[k]);
        } else if (!growing[k].take(seen[k])) {
          blocks.push_back(growing[k].block());
          growing[k] = Growing(query, seen[k]);
        }
      }
    }
  }
  close_from(0);
  std::ranges::sort(blocks, {}, [](const BandBlock& b) { return std::pair(b.first_query, b.first_key); });
  return blocks;
}

}  // namespace meshattn::gpu
