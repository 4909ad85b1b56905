#pragma once

#include <span>
#include <vector>

#include "core/planner/grid_placement.h"
#include "core/planner/plan.h"

namespace meshattn {

/// Passes that run one after the other.
using Passes = std::vector<PlanRequest>;

/// Everything chosen that a user left open: how tokens are dealt, which rank sits where, and how many slices each pass
/// is cut into.
struct Arrangement {
  Placement placement;
  Passes passes;
};

/// The best of what is left open: of `alternatives`, which differ in how they deal the tokens, each with every
/// placement and number of slices that it leaves open.
///
/// Placement: `search` plans every pass for linear and for every grid of the first pass's tile. What is estimated to be
/// the fastest is taken; of what is within 0.1 % of it, that whose busiest link between nodes is busy for the shortest
/// time.
///
/// Slices, where a method has `choose_slices`: the numbers that the heads can be cut into, at most as many as a node
/// has GPUs, each pass its own. One slice, unless another number is estimated to be faster by more than 2 %: estimates
/// of slices are off by up to 1.7 %.
/// @throws InvalidInput if the ranks do not fit the cluster or the grid not the tile, or no plan can be made.
[[nodiscard]] Arrangement arrange(const PlacementRule& rule, std::span<const Passes> alternatives,
                                  const Cluster& cluster);

}  // namespace meshattn
