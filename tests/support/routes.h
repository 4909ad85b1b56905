#pragma once

#include <string>
#include <vector>

#include "core/cluster/network.h"

namespace meshattn::testing {

/// Nodes of 4 GPUs, each with a port of 400 GB/s and a NIC of 50 GB/s.
inline Cluster cluster(const Fabric& fabric = {}) {
  Cluster c;
  c.node = {.gpus = 4,
            .link_bytes_per_s = 400e9,
            .link_startup_s = 1e-6,
            .gpus_per_nic = 1,
            .nic_bytes_per_s = 50e9,
            .nic_startup_s = 3e-6};
  c.fabric = fabric;
  return c;
}

/// Names of the links of a route.
inline std::vector<std::string> names(const Network& network, Rank from, Rank to) {
  std::vector<std::string> names;
  for (LinkId link : network.route(from, to)) names.push_back(network.links()[link].name);
  return names;
}

}  // namespace meshattn::testing
