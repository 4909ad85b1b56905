#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// All rows, all columns, then all lines that leave; blocks run as they become available.
[[nodiscard]] LaneOrder naive_order(const TileProblem& problem);

/// Orders by the rule of arXiv 2512.20968, which greedy.cpp writes down: as published, and with lines that leave as
/// early as they can.
[[nodiscard]] std::vector<LaneOrder> greedy_orders(const TileProblem& problem);

}  // namespace meshattn
