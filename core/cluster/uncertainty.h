#pragma once

#include <string>
#include <vector>

#include "core/cluster/cluster.h"

namespace meshattn {

/// What a cluster may be, as far as the spread of its figures is known: all of them as slow as they allow, and all as
/// fast; nothing if none has a spread. Each is the settings, "section.key=value", that make it of the cluster. A time,
/// a number of bytes that are moved and oversubscription are slow if they are large, anything else if it is small. An
/// end that the key does not allow, or beyond a tenth or ten times the figure, is the last one that is.
[[nodiscard]] std::vector<std::vector<std::string>> corners_of(const Cluster& cluster);

}  // namespace meshattn
