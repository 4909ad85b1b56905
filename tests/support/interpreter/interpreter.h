#pragma once

#include <random>
#include <string>

#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Interprets a schedule by brute force, with sets of blocks in place of numbers, and checks the outputs. Shares no
/// code with `verify`. Lanes run at the same time; which of the possible events comes next is random, or an extreme
/// (communication first, one lane last, …), over `runs` timings. An op destroys the bytes it writes when it starts and
/// again when it ends; its reads must be intact at both moments. Sends and receives between two ranks on a lane are
/// matched by order alone. All ids must exist; anything else may be wrong.
/// @returns the first error in words; empty if there is none.
[[nodiscard]] std::string interpret(const Schedule& schedule, int runs, std::mt19937& random);

}  // namespace meshattn::testing
