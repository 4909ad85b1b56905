#pragma once

#include "core/planner/plan.h"
#include "core/planner/request.h"

namespace meshattn {

/// Plans all passes of a request, with the best of everything that it leaves open. Every way to deal the tokens is
/// tried with every placement and number of slices.
///
/// Placement: a search plans every pass for linear and for every grid of the first pass's tile. The fastest by estimate
/// is taken; of those within kAsFast of it, the one whose busiest link between nodes is busy for the shortest time.
///
/// Slices: the numbers that the heads can be cut into, at most as many as a node has GPUs, each pass its own. One
/// slice, unless another number is estimated to be faster by more than kSlicesGain.
/// @throws InvalidInput if the ranks do not fit the cluster, the grid does not fit the tile, or no plan can be made.
[[nodiscard]] Plan make_plan(const Request& request);

}  // namespace meshattn
