#include "experiments/probes.h"

#include <algorithm>
#include <vector>

#include "core/passes/liveness.h"
#include "core/plan.h"
#include "core/schedule_builder.h"

namespace meshattn {

Schedule dense_schedule(Problem p) {
  p.ranks = p.cuts = 1;
  p.partition = Partition::kContiguous;
  Cluster one;  // whose kernels take whatever they take: there is nothing to choose
  one.gpu.attention_flops_per_s = 1;
  one.node.gpus = 1;
  return make_plan({p, method_of("ring", p, {}, 1)}, Network(one, 1), CostModel(one.gpu, p)).schedule;
}

Schedule schedule_of(const Probe& probe) {
  Problem p{probe.shape, Mask::kFull, Partition::kContiguous, Pass::kForward, probe.attending};
  for (const auto& [from, to] : probe.pairs) p.ranks = std::max({p.ranks, from + 1, to + 1});
  p.shape.seq_q *= p.ranks;
  p.shape.seq_kv *= p.ranks;
  ScheduleBuilder b(p);
  std::vector<ValueId> kv;
  for (Rank rank = 0; rank < p.ranks; ++rank)
    kv.push_back(b.input(rank, Tensor::kKV, b.chunk_region(rank, Tensor::kKV), p.shape.dtype));
  std::vector<ValueId> sums;
  for (Rank rank = 0; rank < (probe.attends > 0 ? probe.attending : 0); ++rank) {
    const ValueId q = b.input(rank, Tensor::kQ, b.chunk_region(rank, Tensor::kQ), p.shape.dtype);
    for (int i = 0; i < probe.attends; ++i) {
      sums.push_back(b.declare(rank, Tensor::kO, b.chunk_region(rank, Tensor::kO), Dtype::kFp32));
      b.attend(rank, std::vector{AttendRow{q, sums.back()}}, std::vector{kv[static_cast<std::size_t>(rank)]});
      b.output(sums.back());
    }
  }
  for (int i = 0; i < probe.merges; ++i) b.output(b.combine(std::vector{sums[0], sums[1]}, p.shape.dtype));
  for (int i = 0; i < probe.exchanges; ++i) {
    std::vector<TransferId> transfers;
    for (const auto& [from, to] : probe.pairs)
      transfers.push_back(b.transfer(kv[static_cast<std::size_t>(from)], to, 1));
    b.exchange_all(transfers);
  }
  Schedule s = b.finish();
  assign_memory(s);
  return s;
}

}  // namespace meshattn
