#pragma once

#include <cstdint>
#include <optional>

#include "core/algorithms.h"
#include "core/cost.h"
#include "core/network.h"
#include "core/passes/order.h"
#include "core/schedule.h"

namespace meshattn {

/// What to plan.
struct PlanRequest {
  Problem problem;
  Method method;
  std::optional<Order> order = std::nullopt;  ///< none: whichever is estimated to be the fastest
  Dtype wire = Dtype::kFp32;                  ///< in which partial results travel
  std::uint64_t memory_limit = UINT64_MAX;    ///< bytes of attention values on any rank
};

/// The form with rings that enter nodes at various ranks, where that spreads what crosses nodes over more GPUs: several
/// slices, or a node that holds a part of each of its row and column groups.
[[nodiscard]] MeshForm entered(MeshForm form, const Network& network);

/// What one hop and one block of all slices cost on a cluster, and what a rank must hold: what `plan_tile` is given. A
/// hop is priced at the slowest of its rings, with the load that all ranks' hops of that kind put on shared links;
/// where hops differ (direct exchanges, double rings) at their mean.
[[nodiscard]] TileCosts tile_costs(const PlanRequest& request, const Network& network, const CostModel& cost);
[[nodiscard]] TileBytes tile_bytes(const PlanRequest& request);

/// A schedule ready to run: ordered, pruned, memory assigned; not validated.
struct Plan {
  TilePlan tile_plan;  ///< its times are those of planned steps: 0 where the method fixes them
  Schedule schedule;
  double estimate_s = 0;  ///< makespan by `estimate`: with kernels, merges, reuse waits and every rank's own links
};

/// Orders that are equally fast in the one-lane model differ once merging and memory have their price. So without a
/// given order the fastest by estimate of all is taken, and of leaner variants of each; of equals the leanest.
/// @throws InvalidInput on a method that does not fit, an order where the method fixes the steps, or a schedule too
/// large to hold; MemoryLimitTooLow, with the least that can be kept to.
[[nodiscard]] Plan make_plan(const PlanRequest& request, const Network& network, const CostModel& cost);

}  // namespace meshattn
