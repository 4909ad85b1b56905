#include "core/cluster/network.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace meshattn {

namespace {

void check_bandwidth(double bytes_per_s, const std::string& what, const std::string& needed_by) {
  if (!(bytes_per_s > 0))
    throw InvalidInput(fmt::format("{} of {} bytes/s: {} needs more than 0", what, bytes_per_s, needed_by));
}

void check_divides(int part, int whole, const std::string& what) {
  if (part < 1 || whole % part != 0)
    throw InvalidInput(fmt::format("{} {} does not divide the {} GPUs of a node", part, what, whole));
}

void check_permutation(const Placement& placement) {
  if (placement.gpu.empty()) throw InvalidInput("a placement of no ranks: a network has at least one");
  std::vector<bool> taken(placement.gpu.size());
  for (std::size_t rank = 0; rank < taken.size(); ++rank) {
    const int gpu = placement.gpu[rank];
    if (gpu < 0 || static_cast<std::size_t>(gpu) >= taken.size())
      throw InvalidInput(
          fmt::format("rank {} on GPU {} of {}: GPUs are 0 to {}", rank, gpu, taken.size(), taken.size() - 1));
    if (taken[static_cast<std::size_t>(gpu)])
      throw InvalidInput(fmt::format("two ranks on GPU {}, one of them rank {}: each needs its own", gpu, rank));
    taken[static_cast<std::size_t>(gpu)] = true;
  }
}

/// The path, below `paths`, of all messages between two NICs, as a switch chooses it by a hash. The mixing is
/// SplitMix64's.
int hashed_path(int from_nic, int to_nic, int paths) {
  std::uint64_t x = static_cast<std::uint64_t>(from_nic) << 32 | static_cast<std::uint32_t>(to_nic);
  x = (x + 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return static_cast<int>((x ^ x >> 31) % static_cast<std::uint64_t>(paths));
}

void append(Route& route, LinkId link) { route.links[static_cast<std::size_t>(route.count++)] = link; }

}  // namespace

Network::Network(const Cluster& cluster, Placement placement) : cluster_(cluster), placement_(std::move(placement)) {
  const int per_node = cluster.node.gpus, gpus = this->gpus();
  if (per_node < 1) throw InvalidInput(fmt::format("{} GPUs per node: a node has at least one", per_node));
  check_permutation(placement_);
  if (gpus > per_node && !(cluster.node.nic_bytes_per_s > 0))
    throw InvalidInput(fmt::format("{} GPUs: {} has no network, it is one box of {} GPUs", gpus,
                                   cluster.name.empty() ? "this cluster" : cluster.name, per_node));
  if (gpus > per_node && gpus % per_node != 0)
    throw InvalidInput(
        fmt::format("{} GPUs on nodes of {}: must be at most {} or a multiple of it", gpus, per_node, per_node));
  startups_in_node_ = {{0, cluster.node.link_startup_s}};
  startups_in_node_.insert(startups_in_node_.end(), cluster.node.link_startups.begin(),
                           cluster.node.link_startups.end());
  startups_between_nodes_ = {{0, cluster.node.nic_startup_s}};
  startups_between_nodes_.insert(startups_between_nodes_.end(), cluster.node.nic_startups.begin(),
                                 cluster.node.nic_startups.end());
  if (cluster.gpu.sms > 0) {
    sm_share_in_node_ = 1.0 * cluster.node.link_sms / cluster.gpu.sms;
    sm_share_between_nodes_ = 1.0 * cluster.node.nic_sms / cluster.gpu.sms;
  }
  if (has_ports()) {
    add_ports();
    add_switches();
    add_roots();
    add_shared();
  }
  if (gpus > per_node) {
    add_nics();
    add_trunks();
  }
}

void Network::add_pair(const std::string& out_name, const std::string& in_name, double bytes_per_s) {
  links_.push_back({out_name, bytes_per_s});
  links_.push_back({in_name, bytes_per_s});
}

void Network::add_ports() {
  const Node& node = cluster_.node;
  const std::string needed_by = fmt::format("a node of {} GPUs", node.gpus);
  check_bandwidth(node.link_bytes_per_s, "a GPU link", needed_by);
  first_port_ = static_cast<LinkId>(links_.size());
  for (int g = 0; g < gpus(); ++g)
    add_pair(fmt::format("gpu {} out", g), fmt::format("gpu {} in", g), node.link_bytes_per_s);
  for (std::size_t port = first_port_; port < links_.size(); ++port)
    links_[port].efficiency_during_compute = node.link_efficiency_during_compute;
}

void Network::add_switches() {
  const Node& node = cluster_.node;
  if (node.gpus_per_switch == 0) return;
  check_divides(node.gpus_per_switch, node.gpus, "GPUs per switch");
  if (node.gpus_per_switch == node.gpus) return;
  check_bandwidth(node.switch_bytes_per_s, "a link between switches",
                  fmt::format("a node of {} GPUs on several switches", node.gpus));
  const int switches = node.gpus / node.gpus_per_switch;
  first_switch_ = static_cast<LinkId>(links_.size());
  for (int n = 0; n < nodes(); ++n)
    for (int s = 0; s < switches; ++s)
      add_pair(fmt::format("node {} switch {} out", n, s), fmt::format("node {} switch {} in", n, s),
               node.switch_bytes_per_s);
}

/// A root complex is slower for more than two pairs per GPU: GPUs that each send to one and receive from one other GPU
/// make at most two pairs per GPU.
void Network::add_roots() {
  const Node& node = cluster_.node;
  if (node.gpus_per_root == 0) return;
  check_divides(node.gpus_per_root, node.gpus, "GPUs per root complex");
  if (node.gpus_per_switch > 0) check_divides(node.gpus_per_switch, node.gpus_per_root, "GPUs per switch on a root");
  check_bandwidth(node.root_bytes_per_s, "a root complex", "a node with GPUs on it");
  const int roots = node.gpus / node.gpus_per_root;
  const double all_ports = 2 * node.gpus_per_root * node.link_bytes_per_s;
  first_root_ = static_cast<LinkId>(links_.size());
  for (int n = 0; n < nodes(); ++n)
    for (int k = 0; k < roots; ++k)
      links_.push_back({fmt::format("node {} root {}", n, k), std::max(all_ports, node.root_bytes_per_s),
                        2 * static_cast<std::size_t>(node.gpus_per_root), node.root_bytes_per_s});
}

void Network::add_shared() {
  if (cluster_.node.shared_bytes_per_s == 0) return;
  if (cluster_.node.gpus_per_root > 0 || first_switch_ > 0)
    throw InvalidInput("a node whose GPUs are shares of one device has neither switches nor root complexes");
  first_shared_ = static_cast<LinkId>(links_.size());
  for (int n = 0; n < nodes(); ++n) {
    links_.push_back({fmt::format("node {} shared", n), cluster_.node.shared_bytes_per_s});
    links_.back().efficiency_during_compute = cluster_.node.link_efficiency_during_compute;
  }
}

void Network::add_nics() {
  const Node& node = cluster_.node;
  check_divides(node.gpus_per_nic, node.gpus, "GPUs per NIC");
  first_nic_ = static_cast<LinkId>(links_.size());
  for (int n = 0; n < nodes(); ++n)
    for (int k = 0; k < nics_per_node(); ++k)
      add_pair(fmt::format("node {} nic {} out", n, k), fmt::format("node {} nic {} in", n, k), node.nic_bytes_per_s);
}

void Network::add_trunks() {
  const Fabric& fabric = cluster_.fabric;
  if (fabric.kind == Fabric::Kind::kNonBlocking) return;
  if (fabric.nodes_per_leaf < 1)
    throw InvalidInput(fmt::format("{} nodes per leaf: a leaf has at least one", fabric.nodes_per_leaf));
  if (!(fabric.oversubscription > 0))
    throw InvalidInput(fmt::format("oversubscription {}: must be above zero", fabric.oversubscription));
  const int leaves = (nodes() + fabric.nodes_per_leaf - 1) / fabric.nodes_per_leaf;
  const double rail_bytes_per_s = fabric.nodes_per_leaf * cluster_.node.nic_bytes_per_s / fabric.oversubscription;
  first_trunk_ = static_cast<LinkId>(links_.size());
  for (int leaf = 0; leaf < leaves; ++leaf) {
    if (fabric.kind == Fabric::Kind::kFatTree)
      add_trunk(fmt::format("leaf {}", leaf), nics_per_node() * rail_bytes_per_s);
    else
      for (int k = 0; k < nics_per_node(); ++k)
        add_trunk(fmt::format("rail {} of group {}", k, leaf), rail_bytes_per_s);
  }
}

void Network::add_trunk(const std::string& leaf, double bytes_per_s) {
  const int paths = cluster_.fabric.paths;
  if (paths == 0) add_pair(leaf + " up", leaf + " down", bytes_per_s);
  for (int path = 0; path < paths; ++path)
    add_pair(fmt::format("{} up to spine {}", leaf, path), fmt::format("{} down from spine {}", leaf, path),
             bytes_per_s / paths);
}

Route Network::route(Rank from, Rank to) const {
  Route route;
  if (share_node(from, to))
    route_in_node(gpu_of(from), gpu_of(to), route);
  else
    route_between_nodes(gpu_of(from), gpu_of(to), route);
  return route;
}

Route Network::links_slowed_by_compute(Rank rank) const {
  Route links;
  append(links, out(first_port_, gpu_of(rank)));
  append(links, in(first_port_, gpu_of(rank)));
  if (cluster_.node.shared_bytes_per_s > 0) append(links, first_shared_ + static_cast<LinkId>(node_of(rank)));
  return links;
}

double Network::startup_s(const Route& route, double bytes) const {
  const std::vector<StartupPoint>& startups = route.inter_node ? startups_between_nodes_ : startups_in_node_;
  const auto above = std::ranges::upper_bound(startups, bytes, {}, &StartupPoint::bytes);
  const StartupPoint& below = *(above - 1);
  if (above == startups.end()) return below.seconds;
  return below.seconds + (above->seconds - below.seconds) * (bytes - below.bytes) / (above->bytes - below.bytes);
}

void Network::route_in_node(int from, int to, Route& route) const {
  const Node& node = cluster_.node;
  append(route, out(first_port_, from));
  // A node and a root hold whole numbers of switches, so that all switches and roots are numbered by GPU.
  const bool under_one_switch = node.gpus_per_switch > 0 && from / node.gpus_per_switch == to / node.gpus_per_switch;
  if (node.gpus_per_switch > 0 && !under_one_switch) {
    append(route, out(first_switch_, from / node.gpus_per_switch));
    append(route, in(first_switch_, to / node.gpus_per_switch));
  }
  if (node.gpus_per_root > 0 && !under_one_switch) {
    const int first = from / node.gpus_per_root, last = to / node.gpus_per_root;
    append(route, first_root_ + static_cast<LinkId>(first));
    if (last != first) append(route, first_root_ + static_cast<LinkId>(last));
  }
  if (node.shared_bytes_per_s > 0) append(route, first_shared_ + static_cast<LinkId>(node_of_gpu(from)));
  append(route, in(first_port_, to));
}

void Network::route_between_nodes(int from, int to, Route& route) const {
  const Node& node = cluster_.node;
  route.inter_node = true;
  append(route, out(first_nic_, from / node.gpus_per_nic));
  if (cluster_.fabric.kind != Fabric::Kind::kNonBlocking) route_over_spine(from, to, route);
  append(route, in(first_nic_, to / node.gpus_per_nic));
}

void Network::route_over_spine(int from, int to, Route& route) const {
  const bool rail = cluster_.fabric.kind == Fabric::Kind::kRail;
  const auto trunk = [&](int gpu) {
    const int leaf = node_of_gpu(gpu) / cluster_.fabric.nodes_per_leaf;
    return rail ? leaf * nics_per_node() + gpu % cluster_.node.gpus / cluster_.node.gpus_per_nic : leaf;
  };
  if (trunk(from) == trunk(to)) return;
  const int paths = std::max(1, cluster_.fabric.paths), per_nic = cluster_.node.gpus_per_nic;
  const int path = hashed_path(from / per_nic, to / per_nic, paths);
  append(route, out(first_trunk_, trunk(from) * paths + path));
  append(route, in(first_trunk_, trunk(to) * paths + path));
}

}  // namespace meshattn
