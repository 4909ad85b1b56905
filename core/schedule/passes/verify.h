#pragma once

#include <string>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// Something wrong with a schedule. `op` and `value` are kNone where none is to blame.
struct Finding {
  Rank rank = 0;
  OpId op = kNone;
  ValueId value = kNone;
  std::string what;
};

/// Proves a schedule (design, section 2): values are made before they are read; every block that the mask leaves is
/// attended exactly once and reaches its owner's output; no deadlock however lanes are served; values that share bytes
/// are ordered. Works on any content of the arrays, out-of-range ids included.
/// @returns the first `most` findings; none means proved.
[[nodiscard]] std::vector<Finding> verify(const Schedule& schedule, std::size_t most = 20);

}  // namespace meshattn
