#pragma once

#include <span>

#include "core/plan.h"

namespace meshattn {

/// The placement by a rule of ranks that run `passes` one after the other, all of one tile. `search` plans every pass
/// for linear and for every grid of the tile, and takes what is estimated to be the fastest; of those within 0.1 % of
/// it the one whose busiest link between nodes is busy for the shortest time.
/// @throws InvalidInput if the ranks do not fit the cluster or the grid not the tile, or no plan can be made.
[[nodiscard]] Placement choose_placement(const PlacementRule& rule, std::span<const PlanRequest> passes,
                                         const Cluster& cluster);

}  // namespace meshattn
