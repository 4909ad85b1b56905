#pragma once

#include <vector>

#include "core/problem/partition.h"

namespace meshattn {

/// A way round all ranks: element r is the rank after r.
using Cycle = std::vector<Rank>;

/// More ranks are refused.
inline constexpr int kMostHamiltonianRanks = 128;

/// n − 1 cycles through all n ranks that share no step: each rank has every other rank as its next in exactly one
/// cycle. They exist for every n but 4 and 6 (Tillson 1980). For n prime, cycle d goes in strides of d; for other n a
/// search repairs these strides, which divide into several loops. The same cycles every time. One rank has none.
/// @throws InvalidInput for 4 and 6 ranks, none, or too many.
[[nodiscard]] std::vector<Cycle> hamiltonian_cycles(int ranks);

}  // namespace meshattn
