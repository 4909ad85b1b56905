#include "gpu/kernels/bands.h"

#include <algorithm>

namespace meshattn::gpu {

namespace {

/// A run of visible keys that are contiguous in memory.
struct KeyRun {
  Interval keys;
  std::size_t gaps;  ///< gaps in memory between all keys before it
};

/// Builds a block query by query. The first visible key stays and then advances with the query; the end of the visible
/// keys advances with the query and then stays.
class BlockBuilder {
 public:
  BlockBuilder(std::int64_t query, KeyRun run) : first_(query), gaps_(run.gaps), begin_(run.keys), last_(run.keys) {}

  /// Adds the next query. @returns false if its keys do not fit the block
  bool extend(KeyRun run) {
    const Interval keys = run.keys;
    const std::int64_t begin_step = keys.begin - last_.begin, end_step = keys.end - last_.end;
    const bool begin_fits = begin_step == 1 || (begin_step == 0 && begin_advances_at_ == 0);
    const bool end_fits = end_step == 0 || (end_step == 1 && !end_stays_);
    if (run.gaps != gaps_ || !begin_fits || !end_fits) return false;
    if (begin_step == 1 && begin_advances_at_ == 0) begin_advances_at_ = queries_;
    end_stays_ |= end_step == 0;
    end_advanced_ |= end_step == 1;
    last_ = keys;
    ++queries_;
    return true;
  }

  [[nodiscard]] BandBlock block() const {
    Band band;
    if (begin_advances_at_ > 0) band.lower = 1 - begin_advances_at_;
    if (end_advanced_) band.upper = begin_.end - begin_.begin - 1;
    return {first_, queries_, begin_.begin, last_.end - begin_.begin, band};
  }

 private:
  std::int64_t first_;
  std::size_t gaps_;
  std::int64_t queries_ = 1;
  Interval begin_, last_;               ///< keys of the first and of the last query
  std::int64_t begin_advances_at_ = 0;  ///< the query of the block from which the first key advances; 0: none yet
  bool end_advanced_ = false;
  bool end_stays_ = false;
};

/// The keys that the mask lets a query see.
class VisibleKeys {
 public:
  VisibleKeys(const Problem& problem, std::span<const CellSpan> keys) : problem_(problem) {
    std::int64_t at = 0;
    for (std::size_t k = 0; k < keys.size(); ++k) {
      tokens_.push_back(problem.kv_run(keys[k].cell));
      first_.push_back(at);
      gaps_.push_back(k == 0 ? 0 : gaps_.back() + (keys[k].contiguous ? 0 : 1));
      at += tokens_.back().count;
    }
  }

  /// Writes the runs of a query at a position of the sequence, ascending.
  void of_query_at(std::int64_t position, std::vector<KeyRun>& runs) const {
    runs.clear();
    const Interval positions = problem_.mask.keys_of(position);
    for (std::size_t k = 0; k < tokens_.size(); ++k) {
      Interval here = tokens_[k].indices_in(positions);
      if (here.begin >= here.end) continue;
      here = {here.begin + first_[k], here.end + first_[k]};
      if (!runs.empty() && runs.back().gaps == gaps_[k] && runs.back().keys.end == here.begin)
        runs.back().keys.end = here.end;
      else
        runs.push_back({here, gaps_[k]});
    }
  }

 private:
  const Problem& problem_;
  std::vector<TokenRun> tokens_;     ///< by span
  std::vector<std::int64_t> first_;  ///< by span: tokens before it
  std::vector<std::size_t> gaps_;    ///< by span: gaps before it
};

}  // namespace

std::vector<BandBlock> bands_of(const Problem& problem, std::span<const CellSpan> queries,
                                std::span<const CellSpan> keys) {
  std::vector<BandBlock> blocks;
  const VisibleKeys visible(problem, keys);
  std::vector<BlockBuilder> open;  // the k-th has the k-th run of each query
  std::vector<KeyRun> runs;
  const auto close_from = [&](std::size_t first) {
    for (std::size_t k = first; k < open.size(); ++k) blocks.push_back(open[k].block());
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(std::min(first, open.size())), open.end());
  };
  std::int64_t query = 0;
  for (const CellSpan& span : queries) {
    if (!span.contiguous) close_from(0);
    const TokenRun run = problem.q_run(span.cell);
    for (std::int64_t i = 0; i < run.count; ++i, ++query) {
      visible.of_query_at(run.start + i * run.stride, runs);
      close_from(runs.size());
      for (std::size_t k = 0; k < runs.size(); ++k) {
        if (k == open.size()) {
          open.emplace_back(query, runs[k]);
        } else if (!open[k].extend(runs[k])) {
          blocks.push_back(open[k].block());
          open[k] = BlockBuilder(query, runs[k]);
        }
      }
    }
  }
  close_from(0);
  std::ranges::sort(blocks, {}, [](const BandBlock& b) { return std::pair(b.first_query, b.first_key); });
  return blocks;
}

}  // namespace meshattn::gpu
