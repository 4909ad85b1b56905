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

/// A unidirectional link: a port, a switch's uplink, a NIC, a trunk between a leaf switch and a spine. Root complexes
/// and the links that all messages of a node share carry both directions.
struct Link {
  std::string name;
  double bytes_per_s;
  std::size_t most_pairs = SIZE_MAX;     ///< pairs of GPUs with messages on it up to which it has `bytes_per_s`
  double many_pairs_bytes_per_s = 0;     ///< bandwidth for more pairs
  double efficiency_during_compute = 1;  ///< fraction of bandwidth left while a GPU at the link computes

  /// Bytes per second if `pairs` pairs of GPUs have messages on it and, if `computes`, a GPU at the link computes.
  [[nodiscard]] double capacity(std::size_t pairs, bool computes) const {
    return (pairs > most_pairs ? many_pairs_bytes_per_s : bytes_per_s) * (computes ? efficiency_during_compute : 1);
  }
};

/// The links that a message crosses, in order, as a range. Its bytes flow over all of them at once.
struct Route {
  std::array<LinkId, 6> links{};
  int count = 0;
  bool inter_node = false;

  [[nodiscard]] const LinkId* begin() const { return links.data(); }
  [[nodiscard]] const LinkId* end() const { return links.data() + count; }
  /// Only of a named route: the span of a temporary would dangle.
  [[nodiscard]] std::span<const LinkId> span() const& { return {begin(), end()}; }
  void span() const&& = delete;
};

/// The links of a cluster, the placement of ranks on its GPUs, and the routes between ranks. Links are named after GPUs
/// and nodes; all other functions take ranks. Routes are computed on demand.
class Network {
 public:
  /// Rank r on GPU r, for `gpus` ranks.
  /// @throws InvalidInput if the last node would be partly filled, several nodes have no NICs, or the numbers of the
  /// cluster do not fit together.
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

  /// The route between two different ranks.
  [[nodiscard]] Route route(Rank from, Rank to) const;

  /// Seconds before the first byte of a message: interpolated by size between the cluster's points, constant beyond the
  /// largest one.
  [[nodiscard]] double startup_s(const Route& route, double bytes) const;

  /// True if the bandwidth of a link depends on the number of pairs of GPUs with messages on it.
  [[nodiscard]] bool bandwidth_depends_on_pairs() const { return cluster_.node.gpus_per_root > 0 && gpus() > 1; }
  /// True if a rank's compute slows messages on some links.
  [[nodiscard]] bool compute_slows_messages() const {
    return cluster_.node.link_efficiency_during_compute < 1 && has_ports();
  }
  /// The links that a rank's compute slows: those of its port, and the shared link of its node. Call it only if compute
  /// slows messages.
  [[nodiscard]] Route links_slowed_by_compute(Rank rank) const;

  /// True if the compute speed of a rank depends on its transfers or on other ranks.
  [[nodiscard]] bool compute_speed_varies() const {
    return sm_share_in_node_ > 0 || sm_share_between_nodes_ > 0 || compute_efficiency_during_transfers() < 1 ||
           shares_processors();
  }
  /// Fraction of its SMs that a GPU loses to an exchange in its node.
  [[nodiscard]] double sm_share_in_node() const { return sm_share_in_node_; }
  /// Fraction of its SMs that a GPU loses to an exchange between nodes.
  [[nodiscard]] double sm_share_between_nodes() const { return sm_share_between_nodes_; }
  /// Fraction of its compute rate that a GPU keeps while bytes flow through its port.
  [[nodiscard]] double compute_efficiency_during_transfers() const {
    return cluster_.node.compute_efficiency_during_transfers;
  }
  /// Processors of a node; one per GPU if the GPUs do not share them.
  [[nodiscard]] double processors() const {
    return cluster_.node.processors > 0 ? cluster_.node.processors : cluster_.node.gpus;
  }
  /// True if a node can have more computing ranks than processors.
  [[nodiscard]] bool shares_processors() const { return processors() < std::min(gpus(), cluster_.node.gpus); }
  /// Fraction of its compute rate that a rank keeps while `computing` ranks of its node compute.
  [[nodiscard]] double processor_share(int computing) const {
    return computing > processors() ? processors() / computing : 1;
  }

 private:
  /// The two directions of link `index` of a kind whose links begin at `first`.
  [[nodiscard]] static LinkId out(LinkId first, int index) { return first + 2 * static_cast<LinkId>(index); }
  [[nodiscard]] static LinkId in(LinkId first, int index) { return out(first, index) + 1; }

  // All functions below take GPUs, not ranks.
  [[nodiscard]] bool has_ports() const { return gpus() > 1 && cluster_.node.gpus > 1; }
  [[nodiscard]] int node_of_gpu(int gpu) const { return gpu / cluster_.node.gpus; }
  [[nodiscard]] int nics_per_node() const { return cluster_.node.gpus / cluster_.node.gpus_per_nic; }
  void add_ports();
  void add_switches();
  void add_roots();
  void add_shared();
  void add_nics();
  void add_trunks();
  void add_trunk(const std::string& leaf, double bytes_per_s);
  void add_pair(const std::string& out_name, const std::string& in_name, double bytes_per_s);
  void route_in_node(int from, int to, Route& route) const;
  void route_between_nodes(int from, int to, Route& route) const;
  void route_over_spine(int from, int to, Route& route) const;

  Cluster cluster_;
  Placement placement_;
  std::vector<Link> links_;
  std::vector<StartupPoint> startups_in_node_, startups_between_nodes_;  ///< ascending by size, from 0 bytes
  double sm_share_in_node_ = 0, sm_share_between_nodes_ = 0;
  // The first link of each kind, in `links_`. Ports, switches, NICs and trunks are pairs: out and in.
  LinkId first_port_ = 0;    ///< one pair per GPU
  LinkId first_switch_ = 0;  ///< one pair per PCIe switch, if a node has several
  LinkId first_shared_ = 0;  ///< one per node, if all its messages share bandwidth
  LinkId first_root_ = 0;    ///< one per CPU root complex
  LinkId first_nic_ = 0;     ///< one pair per NIC
  LinkId first_trunk_ = 0;   ///< one pair per leaf switch (rail switch) and path
};

}  // namespace meshattn
