#pragma once

#include <random>
#include <string>

#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Runs a schedule with sets of blocks in place of numbers, under `runs` different timings, and looks at what comes
/// out: the meaning of the IR, by brute force, sharing nothing with `verify`. Lanes run at the same time; which of
/// the events that could happen comes next is random, with extremes (communication first, one lane last, …). A write
/// destroys what was in its bytes when the op starts and again when it ends; a read looks at both moments. Sends and
/// receives between two ranks on a lane are matched by order alone. Ids must exist; anything else may be wrong.
/// @returns the first thing that went wrong in words; empty if all was right.
[[nodiscard]] std::string interpret(const Schedule& schedule, int runs, std::mt19937& random);

}  // namespace meshattn::testing
