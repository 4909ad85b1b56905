#pragma once

#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Ulysses, written by hand, so that ops read parts of values wherever they can. Rank j attends the j-th slice of heads
/// of all queries to all keys, in one op with one accumulator: its own chunk is there with all heads, of the others it
/// gets the slice. Key/value heads that several slices need go to each of them. Backward, Q and KV of the others and O
/// of all lie where forward left them; dO comes in slices, and delta is made of them there.
/// The number of ranks divides that of heads.
[[nodiscard]] Schedule ulysses(const Problem& problem);

}  // namespace meshattn::testing
