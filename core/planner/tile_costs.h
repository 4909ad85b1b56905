#pragma once

#include "core/planner/plan.h"

namespace meshattn {

/// The form with its node's grid, so that rings enter nodes at various ranks, where that spreads traffic between nodes
/// over more GPUs: several slices, or a node that holds a part of each of its row and column groups.
[[nodiscard]] MeshForm with_node_grid(MeshForm form, const Network& network);

/// Costs of one hop and one block of all slices on a cluster, and the bytes that a rank holds, for `order_tile`. A hop
/// is priced at the slowest of its rings, with the load that all ranks' hops of that kind put on shared links; where
/// hops differ (direct exchanges, double rings) at their mean.
[[nodiscard]] TileCosts tile_costs(const Configuration& configuration, const Network& network, const CostModel& cost);
[[nodiscard]] TileBytes tile_bytes(const Configuration& configuration);

}  // namespace meshattn
