#pragma once

#include <vector>

#include "core/cluster/cluster.h"

namespace meshattn {

/// How well a profile's points say each other: errors (|found / measured − 1|, ascending) of the rates that its points
/// would have without themselves, each from the others of its pass, mask and head dim, if these are on both sides of
/// it. Empty if there is no such point.
[[nodiscard]] std::vector<double> leave_one_out(const GpuProfile& gpu);

}  // namespace meshattn
