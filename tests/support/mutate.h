#pragma once

#include <random>
#include <string>

#include "core/schedule/schedule.h"

namespace meshattn::testing {

struct Mutant {
  Schedule schedule;
  std::string what;  ///< was done to it
};

/// One small random change: an op, a list item, a value, a transfer, a wait or a place in memory is dropped, doubled,
/// moved, shrunk or made to name another. All ids still exist. May be harmless.
[[nodiscard]] Mutant mutate(const Schedule& schedule, std::mt19937& random);

}  // namespace meshattn::testing
