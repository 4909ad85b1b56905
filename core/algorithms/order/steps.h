#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// Lists both lanes as a host issues them. Neighbouring blocks become one rectangle where that moves no block, no
/// departure and needs nothing earlier. Hops that bring something are listed as late as no block has to wait for them,
/// after the rectangles that have ended by then; hops that take something away as soon as they can start.
[[nodiscard]] std::vector<TileStep> steps_of(const TileProblem& problem, const LaneOrder& order);

}  // namespace meshattn
