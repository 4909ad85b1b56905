#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// What is known about the shortest order.
struct Solution {
  /// A time that no order beats. Forward: the optimum with preemptible compute, or where tiles grow too large to keep
  /// all states of the search (from about 16×16 on, depending on costs) a relaxation of it. Backward: the larger of the
  /// optima that the tile would have if only rows or only columns left. Never less than the channel's and the compute's
  /// own time.
  double lower_bound = 0;
  /// Orders shorter than `known`, each shorter than the one before. Forward the last (or `known` if there is none) is
  /// optimal if it meets the bound or if the search gave up no state: so it is up to 4×3 for any costs.
  /// Backward it is the best for three fixed orders of departure: a template, not a proof.
  std::vector<LaneOrder> orders;
};

/// `known` is the time of any order at hand. Without `want_orders` only the bound is sought.
[[nodiscard]] Solution solve(const TileProblem& problem, double known, bool want_orders);

}  // namespace meshattn
