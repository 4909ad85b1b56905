#pragma once

#include <vector>

#include "core/cluster/cluster.h"

namespace meshattn {

/// Leave-one-out interpolation errors of a profile's attention points, ascending: |interpolated rate / measured rate −
/// 1| of each point from the others of its pass, mask and head dim, if there are shorter and longer ones. Empty if
/// there is no such point.
[[nodiscard]] std::vector<double> leave_one_out(const GpuProfile& gpu);

}  // namespace meshattn
