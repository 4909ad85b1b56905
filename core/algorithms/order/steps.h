#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// Lists both lanes in the order in which a host issues them. Neighbouring blocks become one rectangle where that
/// delays no block and no departure and needs no earlier arrival. Arrivals are listed as late as possible without
/// delaying a block, after the rectangles that have ended by then; departures are listed as soon as they can start.
[[nodiscard]] std::vector<TileStep> steps_of(const TileProblem& problem, const LaneOrder& order);

}  // namespace meshattn
