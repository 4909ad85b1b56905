#pragma once

#include <string_view>
#include <vector>

#include "core/schedule/schedule.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// Ops of one kind, measured and simulated.
struct KindDifference {
  std::string_view kind;  ///< "attend", "exchange" …
  std::size_t ops = 0;
  double measured_s = 0, simulated_s = 0;  ///< of all of them together
  double median_error = 0;                 ///< of |simulated / measured − 1|, over those that took any time
};

/// An op on the way to what ended last: what it added to the end of what it had waited for.
struct PathStep {
  OpId op = 0;
  double measured_s = 0, simulated_s = 0;
};

/// Where a measured and a simulated trace of one schedule differ.
struct TraceDifference {
  std::vector<KindDifference> kinds;
  /// From the op that ended last, as measured, back through what each had waited for longest: its lane, what it depends
  /// on, and for an exchange what the other ends of its transfers waited for; in order of time. Measured steps add up
  /// to the measured makespan; simulated ones, the same ops at their simulated times, to when the last of them ended:
  /// the differences are all of the difference, but for what ends still later in the simulation.
  std::vector<PathStep> path;
};

/// Both traces begin at 0.
[[nodiscard]] TraceDifference difference(const Schedule& schedule, const Trace& measured, const Trace& simulated);

}  // namespace meshattn
