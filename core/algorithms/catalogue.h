#pragma once

#include <span>
#include <string>

#include "core/algorithms/algorithm.h"

namespace meshattn {

/// Every algorithm, in the order in which comparisons list them.
[[nodiscard]] std::span<const Algorithm> algorithms();

/// Their names, for lists in messages: "ring, ring-flash, …".
[[nodiscard]] std::string algorithm_names();

}  // namespace meshattn
