#pragma once

#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Ulysses, written by hand so that ops read parts of values wherever they can. Rank j attends the j-th slice of heads
/// of all queries to all keys, in one op with one accumulator. It has all heads of its own chunk and receives the slice
/// of the others. Key/value heads that several slices need are sent to each of them. Backward, Q and KV of the others
/// and all of O are where forward left them; dO arrives in slices, and delta is computed from them. The number of ranks
/// must divide the number of heads.
[[nodiscard]] Schedule ulysses(const Problem& problem);

}  // namespace meshattn::testing
