#pragma once

#include <vector>

#include "core/passes/order/lanes.h"

namespace meshattn {

/// All rows, all columns, then what leaves; blocks as they become available.
[[nodiscard]] Lanes naive_lanes(const TileProblem& problem);

/// The paper's rule (arXiv 2512.20968), written down in greedy.cpp.
[[nodiscard]] Lanes greedy_lanes(const TileProblem& problem);

/// A time that no order beats. Forward: the optimum with preemptible compute; on tiles whose search would be too large
/// (beyond about 64×64) a relaxation of it. Backward: the larger of the optima that the tile would have if only rows or
/// only columns left. Never less than the channel's and the compute's own time. `known` is the time of any order.
[[nodiscard]] double lower_bound_of(const TileProblem& problem, double known);

/// What may be the shortest orders; the shortest of them and of `known` (the time of an order at hand) is optimal
/// forward where the search was not cut short, which is so up to 4×3 for any costs, and wherever it meets the bound.
/// Backward they are the best for three fixed orders of departure: a template, not a proof.
[[nodiscard]] std::vector<Lanes> optimal_lanes(const TileProblem& problem, double known, double lower_bound);

}  // namespace meshattn
