#pragma once

#include <span>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/placement.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Makespans of a schedule on the slow and the fast end of its cluster: the simulated one, scaled as estimates change
/// between the cluster as it stands (`estimate_s`) and each end. None if there are no ends.
[[nodiscard]] std::vector<double> end_makespans_s(const Schedule& schedule, const Placement& placement,
                                                  std::span<const Cluster> ends, double simulated_s, double estimate_s);

}  // namespace meshattn
