#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// All rows, all columns, then what leaves; blocks as they become available.
[[nodiscard]] LaneOrder naive_order(const TileProblem& problem);

/// The paper's rule (arXiv 2512.20968), written down in greedy.cpp: as it is, and with lines leaving as early as they
/// can.
[[nodiscard]] std::vector<LaneOrder> greedy_orders(const TileProblem& problem);

}  // namespace meshattn
