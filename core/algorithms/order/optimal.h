#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// Bounds and orders that a search found.
struct Solution {
  /// A lower bound of all makespans. Forward: the optimum with preemptible compute or, for tiles too large to keep all
  /// states of the search (from about 16×16 on, depending on costs), a relaxation of it. Backward: the larger of two
  /// such bounds, if only rows and if only columns left. At least the time of the channel and of the compute alone.
  double lower_bound = 0;
  /// Orders shorter than `known`, each shorter than the one before. Forward the last one (or, if there is none, the
  /// known order) is optimal if it meets the bound or the search dropped no state, as up to 4×3 for any costs. Backward
  /// it is the best for three fixed orders of departure: a template, not a proof.
  std::vector<LaneOrder> orders;
};

/// Searches for orders of a tile. `known`: the makespan of any order at hand. Without `want_orders` only the bound is
/// sought.
[[nodiscard]] Solution solve(const TileProblem& problem, double known, bool want_orders);

}  // namespace meshattn
