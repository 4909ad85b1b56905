#pragma once

#include <cstdint>
#include <optional>

#include "core/cost.h"
#include "core/network.h"
#include "core/passes/order.h"
#include "core/schedule.h"

namespace meshattn {

/// What to plan.
struct PlanRequest {
  Problem problem;
  Tile tile;                                  ///< ring is 1×n
  std::optional<Order> order = std::nullopt;  ///< none: whichever is estimated to be the fastest
  Dtype wire = Dtype::kFp32;                  ///< in which partial results travel
  std::uint64_t memory_limit = UINT64_MAX;    ///< bytes of attention values on any rank
};

/// What one hop and one block cost on a cluster, and what a rank must hold: what `plan_tile` is given. A hop is priced
/// at the slowest of its rings, with the load that all ranks' hops of that kind put on shared links.
[[nodiscard]] TileCosts tile_costs(const PlanRequest& request, const Network& network, const CostModel& cost);
[[nodiscard]] TileBytes tile_bytes(const PlanRequest& request);

/// A schedule ready to run: ordered, pruned, memory assigned; not validated.
struct Plan {
  TilePlan tile_plan;
  Schedule schedule;
  double estimate_s = 0;  ///< makespan by `estimate`: with kernels, merges, reuse waits and every rank's own links
};

/// Orders that are equally fast in the one-lane model differ once merging and memory have their price. So without a
/// given order the fastest by estimate of all three is taken, and of leaner variants of each; of equals the leanest.
/// @throws InvalidInput on a tile that does not fit or a schedule too large to hold; MemoryLimitTooLow, with the least
/// that can be kept to.
[[nodiscard]] Plan make_plan(const PlanRequest& request, const Network& network, const CostModel& cost);

}  // namespace meshattn
