#include "experiments/measure/calibration/microbenchmark.h"

#include <algorithm>
#include <vector>

#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn {

namespace {

ValueId input(ScheduleBuilder& b, Rank rank, Tensor tensor) {
  return b.input(rank, tensor, b.chunk_region(rank, tensor), b.problem().shape.dtype);
}

ValueId accumulator(ScheduleBuilder& b, Rank rank, Tensor tensor) {
  return b.declare(rank, tensor, b.chunk_region(rank, tensor), Dtype::kFp32);
}

/// @returns the accumulators
std::vector<ValueId> attend(ScheduleBuilder& b, Rank rank, ValueId kv, int times) {
  const ValueId q = input(b, rank, Tensor::kQ);
  std::vector<ValueId> partials;
  for (int i = 0; i < times; ++i) {
    partials.push_back(accumulator(b, rank, Tensor::kO));
    b.attend(rank, std::vector{AttendRow{q, partials.back()}}, std::vector{kv});
  }
  return partials;
}

/// @returns the accumulators of dQ and dKV, in turn
std::vector<ValueId> attend_backward(ScheduleBuilder& b, Rank rank, ValueId kv, int times) {
  const ValueId q = input(b, rank, Tensor::kQ), d_o = input(b, rank, Tensor::kDO);
  const ValueId delta = b.delta(input(b, rank, Tensor::kO), d_o);
  std::vector<ValueId> partials;
  for (int i = 0; i < times; ++i) {
    const ValueId dq = accumulator(b, rank, Tensor::kDQ);
    const ValueId dkv = b.declare(rank, Tensor::kDKV, b.value(kv).region, Dtype::kFp32);
    b.attend_backward(rank, std::vector{BackwardRow{q, d_o, delta, dq}}, std::vector{BackwardColumn{kv, dkv}});
    partials.insert(partials.end(), {dq, dkv});
  }
  return partials;
}

}  // namespace

Schedule schedule_of(const Microbenchmark& benchmark) {
  Problem p{benchmark.shape, benchmark.mask, Partition::kContiguous, benchmark.pass, benchmark.attention_ranks};
  for (const auto& [from, to] : benchmark.pairs) p.ranks = std::max({p.ranks, from + 1, to + 1});
  p.cuts = benchmark.pieces;
  p.shape.seq_q *= p.ranks;
  p.shape.seq_kv *= p.ranks;
  ScheduleBuilder b(p);
  std::vector<ValueId> whole, piece;  // KV by rank
  for (Rank rank = 0; rank < p.ranks; ++rank) {
    whole.push_back(input(b, rank, Tensor::kKV));
    const auto first = static_cast<Cell>(rank * p.pieces());
    piece.push_back(
        p.cuts == 1 ? whole.back()
                    : b.input(rank, Tensor::kKV, b.region(std::span(&first, 1), {0, p.shape.kv_heads}), p.shape.dtype));
  }
  std::vector<ValueId> partials;
  for (Rank rank = 0; rank < (benchmark.attention_ops > 0 ? benchmark.attention_ranks : 0); ++rank) {
    const ValueId kv = piece[static_cast<std::size_t>(rank)];
    for (ValueId partial : p.pass == Pass::kForward ? attend(b, rank, kv, benchmark.attention_ops)
                                                    : attend_backward(b, rank, kv, benchmark.attention_ops)) {
      b.output(partial);
      partials.push_back(partial);
    }
  }
  const std::size_t second = p.pass == Pass::kForward ? 1 : 2;
  for (int i = 0; i < benchmark.combines; ++i)
    b.output(b.combine(std::vector{partials[0], partials[second]}, p.shape.dtype));
  for (int i = 0; i < benchmark.exchanges; ++i) {
    std::vector<TransferId> transfers;
    for (const auto& [from, to] : benchmark.pairs)
      transfers.push_back(
          b.transfer((i < benchmark.whole_exchanges ? whole : piece)[static_cast<std::size_t>(from)], to, 1));
    b.exchange_all(transfers);
  }
  Schedule s = b.finish();
  assign_memory(s);
  return s;
}

}  // namespace meshattn
