#pragma once

#include <vector>

#include "core/report/summary.h"

namespace meshattn {

/// Splits the idle time of all compute lanes by what the next op waited for last: see Wait.
[[nodiscard]] std::vector<Wait> waits_of(const Schedule& schedule, const Trace& trace, const OpTimes& times);

/// Seconds of an op on the compute lane in which its host had still to issue the rest of it.
[[nodiscard]] double unissued_s(const Trace& trace, const OpTimes& times, OpId op);

/// Longest first, with shares.
[[nodiscard]] std::vector<Wait> ranked(std::vector<Wait> waits);

}  // namespace meshattn
