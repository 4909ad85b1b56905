#pragma once

#include <random>
#include <string>

#include "core/schedule/schedule.h"

namespace meshattn::testing {

struct Mutant {
  Schedule schedule;
  std::string what;  ///< the change, in words
};

/// Makes one small random change to a schedule: an op, a list item, a value, a transfer, a wait or an offset is
/// dropped, duplicated, moved, shrunk or replaced by another. All ids still exist. The change may be harmless.
[[nodiscard]] Mutant mutate(const Schedule& schedule, std::mt19937& random);

}  // namespace meshattn::testing
