#pragma once

#include <string>

#include "core/cluster/cluster.h"
#include "core/cluster/network.h"

namespace meshattn {

/// A drawing of one node and how the nodes are joined.
[[nodiscard]] std::string drawing_of(const Cluster& cluster, const Network& network);

/// Number and bandwidth of links, by kind.
[[nodiscard]] std::string links_text(const Network& network);

/// Every figure of the cluster and its GPU with its source.
[[nodiscard]] std::string sources_text(const Cluster& cluster);

/// Leave-one-out interpolation errors of the profile's points of attention; empty if there are none.
[[nodiscard]] std::string leave_one_out_text(const GpuProfile& gpu);

/// "non-blocking: …", "fat tree: 16 nodes a leaf, …", "rail-optimised: …"
[[nodiscard]] std::string fabric_text(const Fabric& fabric);

}  // namespace meshattn
