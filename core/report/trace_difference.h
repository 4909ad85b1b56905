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
  double measured_s = 0, simulated_s = 0;  ///< sums over all ops
  double median_error = 0;                 ///< of |simulated / measured − 1|, over ops that took any time
};

/// An op on the critical path: the time from the end of the op that it waited for to its own end.
struct PathStep {
  OpId op = 0;
  double measured_s = 0, simulated_s = 0;
};

/// Where a measured and a simulated trace of one schedule differ.
struct TraceDifference {
  std::vector<KindDifference> kinds;
  /// The critical path of the measured trace, in order of time. It goes back from the op that ended last to the op that
  /// each op waited for longest: the one before it on its lane, one that it depends on or, for an exchange, one that
  /// the other ends of its transfers waited for. Measured steps add up to the measured makespan. Simulated steps are
  /// the same ops at their simulated times; they add up to the simulated end of the last one.
  std::vector<PathStep> path;
};

/// Compares two traces of one schedule. Both begin at 0.
[[nodiscard]] TraceDifference difference(const Schedule& schedule, const Trace& measured, const Trace& simulated);

}  // namespace meshattn
