#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/placement.h"
#include "core/problem/partition.h"

namespace meshattn {

using LinkId = std::uint32_t;

/// One direction of one port, NIC or trunk; both of what a CPU or all of a node pass on.
struct Link {
  std::string name;
  double bytes_per_s;
  std::size_t most_pairs = SIZE_MAX;     ///< pairs of GPUs with a message on it that it still serves at that rate
  double many_pairs_bytes_per_s = 0;     ///< with more of them
  double efficiency_during_compute = 1;  ///< of it that is left while a GPU computes whose port it is

  [[nodiscard]] double capacity(std::size_t pairs, bool computes) const {
    return (pairs > most_pairs ? many_pairs_bytes_per_s : bytes_per_s) * (computes ? efficiency_during_compute : 1);
  }
};

/// Links, as those that a message crosses, in order. Bytes flow over all links at once. A range of its links: `for
/// (LinkId link : network.route(a, b))`.
struct Route {
  std::array<LinkId, 6> links{};
  int count = 0;
  bool inter_node = false;

  [[nodiscard]] const LinkId* begin() const { return links.data(); }
  [[nodiscard]] const LinkId* end() const { return links.data() + count; }
  /// Of a route that has a name: a loop over the span of a temporary would read what is gone.
  [[nodiscard]] std::span<const LinkId> span() const& { return {begin(), end()}; }
  void span() const&& = delete;
};

/// The links of a cluster of so many GPUs, the ranks that sit on them, and the way between any two. Links are named
/// after GPUs; everything else speaks of ranks. Routes are computed when asked: no table.
class Network {
 public:
  /// One rank on each of `gpus` GPUs, rank r on GPU r.
  /// @throws InvalidInput if the last node would be partly filled, or the cluster has no network where one is needed.
  Network(const Cluster& cluster, int gpus) : Network(cluster, linear_placement(gpus)) {}
  /// @throws InvalidInput also if the placement is not a permutation.
  Network(const Cluster& cluster, Placement placement);

  [[nodiscard]] int gpus() const { return static_cast<int>(placement_.gpu.size()); }
  [[nodiscard]] int gpus_per_node() const { return cluster_.node.gpus; }
  [[nodiscard]] int nodes() const { return (gpus() + gpus_per_node() - 1) / gpus_per_node(); }
  [[nodiscard]] const Placement& placement() const { return placement_; }
  [[nodiscard]] int gpu_of(Rank rank) const { return placement_.gpu[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] int node_of(Rank rank) const { return node_of_gpu(gpu_of(rank)); }
  [[nodiscard]] bool share_node(Rank a, Rank b) const { return node_of(a) == node_of(b); }
  [[nodiscard]] std::span<const Link> links() const { return links_; }

  /// Whether any of its links serves many pairs of GPUs worse than few.
  [[nodiscard]] bool bandwidth_depends_on_pairs() const { return cluster_.node.gpus_per_root > 0 && gpus() > 1; }
  /// The part of its compute that a GPU loses while it has a transfer within its node, or to or from another one.
  [[nodiscard]] double sm_share_in_node() const { return sm_share_in_node_; }
  [[nodiscard]] double sm_share_between_nodes() const { return sm_share_between_nodes_; }
  /// What compute of a GPU is slowed down to while bytes flow through its port.
  [[nodiscard]] double compute_efficiency_during_transfers() const {
    return cluster_.node.compute_efficiency_during_transfers;
  }
  /// What compute of a GPU is slowed down to while so many of its node compute: they share the node's processors.
  [[nodiscard]] double processor_share(int computing) const {
    return computing > processors() ? processors() / computing : 1;
  }
  /// Of a node: as many as GPUs, if each computes for itself.
  [[nodiscard]] double processors() const {
    return cluster_.node.processors > 0 ? cluster_.node.processors : cluster_.node.gpus;
  }
  /// Whether ranks of a node may have to share them.
  [[nodiscard]] bool shares_processors() const { return processors() < std::min(gpus(), cluster_.node.gpus); }
  /// Whether compute of a rank is not always as fast.
  [[nodiscard]] bool compute_speed_varies() const {
    return sm_share_in_node_ > 0 || sm_share_between_nodes_ > 0 || compute_efficiency_during_transfers() < 1 ||
           shares_processors();
  }

  /// Whether messages of a rank are not always as fast, because it computes.
  [[nodiscard]] bool compute_slows_messages() const {
    return cluster_.node.link_efficiency_during_compute < 1 && has_ports();
  }
  /// The links that pass less while a rank computes: its port's, and what the messages of its node share. Has ports.
  [[nodiscard]] Route links_slowed_by_compute(Rank rank) const;

  /// From one rank to another; from ≠ to.
  [[nodiscard]] Route route(Rank from, Rank to) const;

  /// The delay before the first byte of a message: where the cluster knows it by size, between sizes in proportion, and
  /// beyond the largest as that.
  [[nodiscard]] double startup_s(const Route& route, double bytes) const;

 private:
  /// The two directions of link `index` of a kind whose links begin at `first`.
  [[nodiscard]] static LinkId out(LinkId first, int index) { return first + 2 * static_cast<LinkId>(index); }
  [[nodiscard]] static LinkId in(LinkId first, int index) { return out(first, index) + 1; }

  // From here on GPUs, not ranks.
  [[nodiscard]] bool has_ports() const { return gpus() > 1 && cluster_.node.gpus > 1; }
  [[nodiscard]] int node_of_gpu(int gpu) const { return gpu / cluster_.node.gpus; }
  void add_ports();
  void add_roots();
  void add_shared();
  void add_nics();
  void add_trunks();
  LinkId add_pair(const std::string& out_name, const std::string& in_name, double bytes_per_s);
  void add_trunk(const std::string& leaf, double bytes_per_s);
  void cross_node(int from, int to, Route& route) const;
  void cross_fabric(int from, int to, Route& route) const;
  void cross_trunk(int from, int to, Route& route) const;

  [[nodiscard]] int nics_per_node() const { return cluster_.node.gpus / cluster_.node.gpus_per_nic; }

  Cluster cluster_;
  Placement placement_;
  std::vector<Link> links_;
  std::vector<StartupPoint> in_node_, between_nodes_;  ///< of every kind of route: ascending by size, from 0
  double sm_share_in_node_ = 0, sm_share_between_nodes_ = 0;
  LinkId first_port_ = 0;    ///< one a GPU
  LinkId first_switch_ = 0;  ///< one a PCIe switch, where a node has several
  LinkId first_shared_ = 0;  ///< one a node, for both directions, where all its messages share something
  LinkId first_root_ = 0;    ///< one a CPU, for both directions, where GPUs hang on it
  LinkId first_nic_ = 0;     ///< one a NIC
  LinkId first_trunk_ = 0;   ///< fat tree: one a leaf; rail: one a rail of a group; or one each of these and a path
};

}  // namespace meshattn
