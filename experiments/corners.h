#pragma once

#include <span>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/placement.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Makespans of a schedule on what its cluster may be besides: what was simulated, by how much longer each is estimated
/// to take than the cluster as it stands (`estimate_s`).
[[nodiscard]] std::vector<double> corners_s(const Schedule& schedule, const Placement& placement,
                                            std::span<const Cluster> corners, double simulated_s, double estimate_s);

}  // namespace meshattn
