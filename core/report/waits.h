#pragma once

#include <vector>

#include "core/report/summary.h"

namespace meshattn {

/// Splits the idle time of all compute lanes by cause (see Wait). Until the next op could run, the cause is what
/// arrived last; after that, and while its host still issues it, the cause is its "start".
[[nodiscard]] std::vector<Wait> waits_of(const Schedule& schedule, const Trace& trace, const OpTimes& times);

/// Seconds of an op on the compute lane that were left for its host to issue the rest of it. Includes the slow-down by
/// exchanges meanwhile.
[[nodiscard]] double unissued_s(const Trace& trace, const OpTimes& times, OpId op);

/// Sorts waits, longest first, and fills their shares.
[[nodiscard]] std::vector<Wait> ranked(std::vector<Wait> waits);

}  // namespace meshattn
