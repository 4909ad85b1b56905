#pragma once

#include <vector>

#include "core/report/summary.h"

namespace meshattn {

/// Splits the idle time of all compute lanes: until all was there for the next op, by what came last, and then its own
/// start, with what its host had still to issue: see Wait.
[[nodiscard]] std::vector<Wait> waits_of(const Schedule& schedule, const Trace& trace, const OpTimes& times);

/// Seconds of an op on the compute lane in which its host had still to issue the rest of it; what exchanges slowed it
/// down by meanwhile is among them.
[[nodiscard]] double unissued_s(const Trace& trace, const OpTimes& times, OpId op);

/// Longest first, with shares.
[[nodiscard]] std::vector<Wait> ranked(std::vector<Wait> waits);

}  // namespace meshattn
