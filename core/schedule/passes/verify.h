#pragma once

#include <string>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// A defect of a schedule. `op` and `value` are kNone if no op or value is at fault.
struct Finding {
  Rank rank = 0;
  OpId op = kNone;
  ValueId value = kNone;
  std::string what;
};

/// Proves a schedule (core/schedule/README.md): values are made before they are read; every block that the mask leaves
/// is attended exactly once and reaches its owner's output; no deadlock, in whatever order lanes are served; values
/// that share bytes are ordered. Accepts any content of the arrays, out-of-range ids included.
/// @returns the first `limit` findings; none means proved.
[[nodiscard]] std::vector<Finding> verify(const Schedule& schedule, std::size_t limit = 20);

}  // namespace meshattn
