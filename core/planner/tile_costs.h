#pragma once

#include "core/planner/plan.h"

namespace meshattn {

/// The form with rings that enter nodes at various ranks, where that spreads what crosses nodes over more GPUs: several
/// slices, or a node that holds a part of each of its row and column groups.
[[nodiscard]] MeshForm entered(MeshForm form, const Network& network);

/// What one hop and one block of all slices cost on a cluster, and what a rank must hold: what `order_tile` is given. A
/// hop is priced at the slowest of its rings, with the load that all ranks' hops of that kind put on shared links;
/// where hops differ (direct exchanges, double rings) at their mean.
[[nodiscard]] TileCosts tile_costs(const PlanRequest& request, const Network& network, const CostModel& cost);
[[nodiscard]] TileBytes tile_bytes(const PlanRequest& request);

}  // namespace meshattn
