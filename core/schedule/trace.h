#pragma once

#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// Start and end of each op in an execution, measured or predicted, in seconds from the common start. An exchange
/// starts when its lane reaches it and everything it waits for has ended; it ends with its last transfer.
struct Trace {
  std::vector<double> start_s;  ///< by OpId
  std::vector<double> end_s;    ///< by OpId
  double makespan_s = 0;
};

}  // namespace meshattn
