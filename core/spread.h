#pragma once

#include <string>
#include <vector>

#include "core/cluster.h"

namespace meshattn {

/// What a cluster may be, as far as the spread of its figures is known: compute ([gpu], [framework]) and communication
/// (the other sections) each as slow and as fast as all their figures allow together, so four corners; two if figures
/// of one kind only have a spread, none if none has. Each is the settings, "section.key=value", that make it of the
/// cluster. A time, size or count of work is slow if it is large, anything else (bandwidths, efficiencies) if it is
/// small.
[[nodiscard]] std::vector<std::vector<std::string>> corners_of(const Cluster& cluster);

}  // namespace meshattn
