#pragma once

#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// When each op ran, from an executor that times; the same op ids whoever made it. Seconds from the common start.
/// An exchange starts when its lane reached it and what it waits for was there, and ends with its last transfer.
struct Trace {
  std::vector<double> start_s;  ///< by OpId
  std::vector<double> end_s;    ///< by OpId
  double makespan_s = 0;
};

}  // namespace meshattn
