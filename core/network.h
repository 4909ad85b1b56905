#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/cluster.h"

namespace meshattn {

using LinkId = std::uint32_t;

/// One direction of one port, NIC or trunk.
struct Link {
  std::string name;
  double bytes_per_s;
};

/// Links that a message crosses, in order, and the delay before its first byte. Bytes flow over all links at once.
struct Route {
  std::array<LinkId, 6> links{};
  int count = 0;
  double startup_s = 0;
  bool inter_node = false;

  [[nodiscard]] std::span<const LinkId> span() const { return {links.data(), static_cast<std::size_t>(count)}; }
};

/// The links of a cluster of `gpus` GPUs and the way between any two. Routes are computed when asked: no table.
class Network {
 public:
  /// @throws InvalidInput if the last node would be partly filled, or the cluster has no network where one is needed.
  Network(const Cluster& cluster, int gpus);

  [[nodiscard]] int gpus() const { return gpus_; }
  [[nodiscard]] int node_of(int gpu) const { return gpu / cluster_.node.gpus; }
  [[nodiscard]] std::span<const Link> links() const { return links_; }

  /// From one GPU to another; from ≠ to.
  [[nodiscard]] Route route(int from, int to) const;

  /// Seconds of a message alone on its route: start-up + bytes / slowest link.
  [[nodiscard]] double alone_s(int from, int to, double bytes) const;

 private:
  Cluster cluster_;
  int gpus_;
  std::vector<Link> links_;
  // … ids of the first link of each kind
};

}  // namespace meshattn
