#include "core/plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <vector>

#include "core/algorithms.h"
#include "core/algorithms/rings.h"
#include "core/error.h"
#include "core/estimate.h"
#include "core/passes/arena.h"
#include "core/passes/liveness.h"
#include "core/passes/prune.h"

namespace meshattn {

namespace {

/// Bytes of an average chunk of a tensor, its per-row statistics included.
double average_bytes(const Problem& p, Tensor tensor, Dtype dtype) {
  const AttentionShape& s = p.shape;
  const bool kv = on_kv_side(tensor);
  const double rows = static_cast<double>(kv ? s.seq_kv : s.seq_q) / p.ranks * s.batch * (kv ? s.kv_heads : s.heads);
  if (tensor == Tensor::kDelta) return 8 * rows;
  return rows * ((kv ? 2.0 : 1.0) * s.head_dim * size_of(dtype) + (tensor == Tensor::kO ? 4 : 0));
}

/// Seconds until the slowest of all ranks' sends of `bytes` to their successors has come, all at the same time.
double hop_s(const Network& network, const Rings& rings, int ranks, double bytes) {
  if (rings.hops() == 0) return 0;
  std::vector<double> load(network.links().size());
  for (Rank r = 0; r < ranks; ++r)
    for (LinkId link : network.route(r, rings.next(r))) load[link] += bytes;
  double slowest = 0;
  for (Rank r = 0; r < ranks; ++r) {
    const Route route = network.route(r, rings.next(r));
    double seconds = 0;
    for (LinkId link : route.span()) seconds = std::max(seconds, load[link] / network.links()[link].bytes_per_s);
    slowest = std::max(slowest, route.startup_s + seconds);
  }
  return slowest;
}

}  // namespace

TileCosts tile_costs(const PlanRequest& request, const Network& network, const CostModel& cost) {
  const Problem& p = request.problem;
  const Dtype dtype = p.shape.dtype;
  const Rings rows = Rings::of_rows(request.tile), columns = Rings::of_columns(request.tile);
  const bool backward = p.pass == Pass::kBackward;
  double row_in = average_bytes(p, Tensor::kQ, dtype);
  if (backward) row_in += average_bytes(p, Tensor::kDO, dtype) + average_bytes(p, Tensor::kDelta, dtype);
  TileCosts costs;
  costs.row_in = hop_s(network, rows, p.ranks, row_in);
  costs.column_in = hop_s(network, columns, p.ranks, average_bytes(p, Tensor::kKV, dtype));
  costs.row_out = hop_s(network, rows, p.ranks, average_bytes(p, backward ? Tensor::kDQ : Tensor::kO, request.wire));
  if (backward) costs.column_out = hop_s(network, columns, p.ranks, average_bytes(p, Tensor::kDKV, request.wire));
  const double n = p.ranks;
  costs.block = cost.attention_s(total_pairs(p) / (n * n), static_cast<double>(p.shape.seq_q) / n,
                                 static_cast<double>(p.shape.seq_kv) / n, n > 1 ? Mask::kFull : p.mask);
  return costs;
}

TileBytes tile_bytes(const PlanRequest& request) {
  const Problem& p = request.problem;
  const Dtype dtype = p.shape.dtype;
  const bool backward = p.pass == Pass::kBackward;
  const auto bytes = [&](Tensor tensor, Dtype type) {
    return Arena::aligned(static_cast<std::uint64_t>(average_bytes(p, tensor, type)));
  };
  TileBytes b;
  const Tensor row_sum = backward ? Tensor::kDQ : Tensor::kO;
  b.row_in = bytes(Tensor::kQ, dtype);
  b.column_in = bytes(Tensor::kKV, dtype);
  b.resident = b.row_in + b.column_in + bytes(row_sum, dtype);
  b.row_sum = bytes(row_sum, Dtype::kFp32);
  b.row_out = bytes(row_sum, request.wire);
  if (backward) {
    b.row_in += bytes(Tensor::kDO, dtype) + bytes(Tensor::kDelta, Dtype::kFp32);
    b.resident += bytes(Tensor::kDO, dtype) + bytes(Tensor::kO, dtype) + bytes(Tensor::kDelta, Dtype::kFp32) +
                  bytes(Tensor::kDKV, dtype);
    b.column_sum = bytes(Tensor::kDKV, Dtype::kFp32);
    b.column_out = bytes(Tensor::kDKV, request.wire);
  }
  return b;
}

Plan make_plan(const PlanRequest& request, const Network& network, const CostModel& cost) {
  check(request.problem);
  const TileCosts costs = tile_costs(request, network, cost);
  const TileBytes bytes = tile_bytes(request);
  const auto plan_within = [&](std::uint64_t limit) {
    Plan plan;
    plan.tile_plan = plan_tile(request.tile, request.problem.pass, request.order, costs, bytes, limit);
    plan.schedule = prune(mesh(request.problem, plan.tile_plan, request.wire));
    assign_memory(plan.schedule, estimate(plan.schedule, costs, cost));
    if (plan.schedule.peak_bytes > request.memory_limit) assign_memory(plan.schedule);
    return plan;
  };
  // What the order counts as live and what the allocator needs differ by gaps between values: ask for less until it
  // fits.
  std::uint64_t limit = request.memory_limit;
  try {
    while (true) {
      Plan plan = plan_within(limit);
      if (plan.schedule.peak_bytes <= request.memory_limit) return plan;
      limit = plan.tile_plan.peak_bytes - 1;
    }
  } catch (const MemoryLimitTooLow& e) {
    Plan least = plan_within(e.least());
    if (least.schedule.peak_bytes <= request.memory_limit) return least;
    throw MemoryLimitTooLow(request.tile, request.memory_limit, least.schedule.peak_bytes);
  }
}

}  // namespace meshattn
