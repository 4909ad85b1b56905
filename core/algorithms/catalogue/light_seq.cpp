#include <spdlog/fmt/fmt.h>

#include <span>
#include <vector>

#include "core/algorithms/choose.h"
#include "core/algorithms/chunks.h"
#include "core/base/invalid_option.h"

namespace meshattn::catalogue {

namespace {

/// What a rank attends in one step, and the sums that this contributes to.
struct Work {
  std::vector<ValueId> row;  ///< Q; backward Q, dO, delta. Empty: the rank rests
  ValueId kv = kNone;
  ValueId row_sum = kNone;     ///< O or dQ
  ValueId column_sum = kNone;  ///< dKV; backward only
};

class LightSeqGenerator {
 public:
  LightSeqGenerator(const Problem& problem, Dtype wire)
      : b_(problem), wire_(wire), ranks_(problem.ranks), work_(steps()), arriving_(steps() + 2) {}

  Schedule run();

 private:
  [[nodiscard]] std::size_t steps() const { return static_cast<std::size_t>(ranks_ / 2 + 1); }
  [[nodiscard]] bool backward() const { return b_.problem().pass == Pass::kBackward; }
  [[nodiscard]] bool helps(Rank r, int step) const { return r < step && 2 * step < ranks_; }

  void send_all();
  void declare_sums();
  void compute(std::size_t step);
  std::vector<TransferId> returns_of(std::size_t step);
  void merge(std::span<const TransferId> returned);

  ScheduleBuilder b_;
  Dtype wire_;
  int ranks_;
  std::vector<std::vector<Work>> work_;            ///< [step][rank]
  std::vector<std::vector<TransferId>> arriving_;  ///< [step]: what its work needs
  std::vector<std::vector<ValueId>> row_sums_;     ///< of each rank's own rows: what was returned, and its own sum
  std::vector<std::vector<ValueId>> column_sums_;
};

/// Owners send their chunks to the ranks that need them, and to no other.
void LightSeqGenerator::send_all() {
  std::vector<ByRank> rows{own_chunks(b_, Tensor::kQ)};
  const ByRank kv = own_chunks(b_, Tensor::kKV);
  if (backward()) {
    rows.push_back(own_chunks(b_, Tensor::kDO));
    rows.push_back(own_deltas(b_, rows.back()));
  }
  for (int step = 0; step <= ranks_ / 2; ++step)
    for (Rank r = 0; r < ranks_; ++r) {
      const auto at = static_cast<std::size_t>(step);
      Work& work = work_[at].emplace_back();
      const auto from = [&](const ByRank& owned, Rank owner) {
        if (owner == r) return owned[static_cast<std::size_t>(r)];
        arriving_[at].push_back(b_.transfer(owned[static_cast<std::size_t>(owner)], r, kOnlyLane));
        return b_.made(arriving_[at].back());
      };
      if (r < step && !helps(r, step)) continue;
      for (const ByRank& row : rows) work.row.push_back(from(row, r < step ? r + ranks_ - step : r));
      work.kv = from(kv, r < step ? r : r - step);
    }
}

/// A rank's own rows and keys have one sum for all its steps; others' have one each, which will be returned.
void LightSeqGenerator::declare_sums() {
  for (Rank r = 0; r < ranks_; ++r) {
    const auto at = static_cast<std::size_t>(r);
    const Tensor tensor = backward() ? Tensor::kDQ : Tensor::kO;
    const auto sum_like = [&](Tensor t, ValueId v) { return b_.declare(r, t, b_.value(v).region, Dtype::kFp32); };
    row_sums_.push_back({sum_like(tensor, work_[0][at].row.front())});
    column_sums_.push_back({backward() ? sum_like(Tensor::kDKV, work_[0][at].kv) : kNone});
    for (int step = 0; step <= ranks_ / 2; ++step) {
      Work& work = work_[static_cast<std::size_t>(step)][at];
      if (work.row.empty()) continue;
      work.row_sum = r < step ? sum_like(tensor, work.row.front()) : row_sums_[at].front();
      if (backward())
        work.column_sum = r < step || step == 0 ? column_sums_[at].front() : sum_like(Tensor::kDKV, work.kv);
    }
  }
}

void LightSeqGenerator::compute(std::size_t step) {
  for (Rank r = 0; r < ranks_; ++r) {
    const Work& w = work_[step][static_cast<std::size_t>(r)];
    if (w.row.empty()) continue;
    if (backward())
      b_.attend_backward(r, std::vector{BackwardRow{w.row[0], w.row[1], w.row[2], w.row_sum}},
                         std::vector{BackwardColumn{w.kv, w.column_sum}});
    else
      b_.attend(r, std::vector{AttendRow{w.row[0], w.row_sum}}, std::vector{w.kv});
  }
}

/// Transfers that take home what a step made for others.
std::vector<TransferId> LightSeqGenerator::returns_of(std::size_t step) {
  std::vector<TransferId> returns;
  const auto distance = static_cast<Rank>(step);
  for (Rank r = 0; r < ranks_; ++r) {
    const Work& w = work_[step][static_cast<std::size_t>(r)];
    if (helps(r, distance))
      returns.push_back(b_.transfer(as_wire(b_, w.row_sum, wire_), r + ranks_ - distance, kOnlyLane));
    else if (backward() && r >= distance && step > 0)
      returns.push_back(b_.transfer(as_wire(b_, w.column_sum, wire_), r - distance, kOnlyLane));
  }
  return returns;
}

/// Merges what has come home with what came before; a rank's own sum, in front, is not ready before its last step.
void LightSeqGenerator::merge(std::span<const TransferId> returned) {
  for (TransferId t : returned) {
    const Value v = b_.value(b_.made(t));
    auto& sums = (v.tensor == Tensor::kDKV ? column_sums_ : row_sums_)[static_cast<std::size_t>(v.rank)];
    if (sums.size() == 1)
      sums.push_back(b_.made(t));
    else
      sums[1] = b_.combine(std::vector{sums[1], b_.made(t)}, Dtype::kFp32);
  }
}

Schedule LightSeqGenerator::run() {
  send_all();
  declare_sums();
  for (std::size_t step = 0; step <= steps(); ++step) {
    std::vector<TransferId> returns;
    if (step > 0) returns = returns_of(step - 1);
    std::vector<TransferId>& exchanged = arriving_[step + 1];
    exchanged.insert(exchanged.end(), returns.begin(), returns.end());
    b_.exchange_all(exchanged);
    if (step < steps()) compute(step);
    merge(returns);
  }
  for (const auto& sums : row_sums_) hand_out(b_, sums);
  for (const auto& sums : column_sums_)
    if (backward()) hand_out(b_, sums);
  return b_.finish();
}

Schedule generate(const Configuration& c, std::span<const TileStep>) {
  const Problem& p = c.problem;
  check(p);
  if (p.mask != Mask::kCausal)
    throw InvalidOption("light-seq balances a causal mask and none else: use ", "mask", " causal");
  if (p.partition != Partition::kContiguous)
    throw InvalidOption(fmt::format("light-seq balances contiguous chunks itself and takes none that are {}: use ",
                                    name_of(p.partition)),
                        "partition", " contiguous");
  if (p.shape.seq_q != p.shape.seq_kv)
    throw InvalidInput(fmt::format("light-seq needs as many keys as queries, not {} keys for {} queries",
                                   p.shape.seq_kv, p.shape.seq_q));
  return LightSeqGenerator(p, c.wire).run();
}

}  // namespace

/// LightSeq (DistFlashAttn): the balanced causal schedule over contiguous chunks. In step t = 0, 1, …, ⌊n/2⌋ rank
/// r ≥ t attends the keys of rank r − t, sent directly by their owner. The ranks r < t have no keys left and help the
/// last ones: r attends the queries of rank r + n − t to its own keys and returns the partial one step later. With n
/// even, ranks below n/2 rest in the last step (2t = n), where both would meet the same blocks. With n odd nobody ever
/// rests; the published code covers even n only. Backward the same blocks: KV comes and its dKV returns, or Q, dO and
/// delta come and dQ returns; O does not travel, its delta is made at home.
///
/// Chunks received by the average rank, n even (g query heads to a key/value head; w = 1 for partials in the problem's
/// dtype, 2 for fp32 beside 16 bits):
///     forward   (3n − 2)/(4g) + (1 + w)(n − 2)/8;      backward   (1 + w)(3n − 2)/(4g) + (2 + w)(n − 2)/8
Algorithm light_seq() {
  return {.name = "light-seq",
          .summary = "DistFlashAttn's balanced causal schedule on contiguous chunks (arXiv 2310.03294)",
          .partition = Partition::kContiguous,
          .form =
              [](const FormRequest& request) {
                return MeshForm{.tile = fixed_tile(request, {1, request.problem.ranks}), .steps = Steps::kOwn};
              },
          .generate = generate};
}

}  // namespace meshattn::catalogue
