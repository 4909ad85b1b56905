#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "core/report/summary.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn::testing {

/// Two GPUs of one node: ports of 32 bytes/s, 64 flop/s.
inline Cluster two_gpus() {
  Cluster c;
  c.gpu.attention_flops_per_s = 64;
  c.node.gpus = 2;
  c.node.link_bytes_per_s = 32;
  return c;
}

/// 8 tokens, 1 head of 4, bf16, on 2 ranks: a KV chunk has 4 · 2 · 4 · 2 = 64 bytes, a Q chunk 32.
inline Problem tiny_problem() {
  return {{8, 8, 1, 1, 1, 4, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2};
}

/// A ring of two: each rank attends its own block, both exchange KV, each attends the other block.
/// Ops: rank 0: 0 attend, 1 exchange, 2 attend; rank 1: 3 attend, 4 exchange, 5 attend.
inline Schedule ring_of_two() {
  ScheduleBuilder b(tiny_problem());
  ValueId q[2], kv[2], o[2];
  for (Rank r : {0, 1}) {
    q[r] = b.input(r, Tensor::kQ, b.chunk_region(r, Tensor::kQ), Dtype::kBf16);
    kv[r] = b.input(r, Tensor::kKV, b.chunk_region(r, Tensor::kKV), Dtype::kBf16);
    o[r] = b.declare(r, Tensor::kO, b.chunk_region(r, Tensor::kO), Dtype::kFp32);
    b.output(o[r]);
  }
  const TransferId moved[2] = {b.transfer(kv[0], 1, 1), b.transfer(kv[1], 0, 1)};
  for (Rank r : {0, 1}) {
    const std::uint32_t row = b.add_row(AttendRow{q[r], o[r]});
    const std::uint32_t own = b.add_column(kv[r]);
    const std::uint32_t other = b.add_column(b.made(moved[1 - r]));
    b.attend(r, {row, own, 1, 1});
    b.exchange(r, moved);
    b.attend(r, {row, other, 1, 1});
  }
  return b.finish();
}

inline Trace trace_of(std::vector<std::pair<double, double>> times) {
  Trace t;
  for (const auto& [start, end] : times) {
    t.start_s.push_back(start);
    t.end_s.push_back(end);
    t.makespan_s = std::max(t.makespan_s, end);
  }
  return t;
}

/// Rank 0 computes 0–2 and 5–7, rank 1 0–1 and 6–8; the exchange takes 0–5.
inline const Trace kTrace = trace_of({{0, 2}, {0, 5}, {5, 7}, {0, 1}, {0, 5}, {6, 8}});

inline Summary summary_of(const Schedule& s, const Trace& trace) {
  const Cluster cluster = two_gpus();
  const CostModel cost(cluster.gpu, s.problem);
  return summarise(s, Network(cluster, 2), cost, cost.times(s), trace, {1, 2, 3});
}

}  // namespace meshattn::testing
