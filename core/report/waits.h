#pragma once

#include <vector>

#include "core/report/summary.h"

namespace meshattn {

/// Splits the idle time of all compute lanes by what the next op waited for last: see Wait.
[[nodiscard]] std::vector<Wait> waits_of(const Schedule& schedule, const Trace& trace);

/// Longest first, with shares.
[[nodiscard]] std::vector<Wait> ranked(std::vector<Wait> waits);

}  // namespace meshattn
