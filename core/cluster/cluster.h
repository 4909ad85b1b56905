#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/cluster/gpu_profile.h"

namespace meshattn {

/// The start-up of messages of one size.
struct StartupPoint {
  double bytes = 0;
  double seconds = 0;
};

/// One server: GPUs, each with a port, joined by switches (NVSwitch or PCIe) or CPUs, and NICs. Bandwidths are those
/// that a transfer reaches; links are full duplex, and their bandwidth is that of each direction.
struct Node {
  int gpus = 8;
  double link_bytes_per_s = 0;    ///< bandwidth of a GPU's port
  double link_startup_s = 0;      ///< start-up of a message in the node
  int gpus_per_switch = 0;        ///< GPUs under one PCIe switch or socket; 0: all under one
  double switch_bytes_per_s = 0;  ///< bandwidth between switches, shared by the GPUs of a switch
  int gpus_per_nic = 1;           ///< GPUs that share a NIC
  double nic_bytes_per_s = 0;     ///< bandwidth of a NIC; 0: the node has none
  double nic_startup_s = 0;       ///< start-up of a message between nodes
  int gpus_per_root = 0;          ///< GPUs under one CPU root complex, which joins what no switch joins; 0: no roots
  double root_bytes_per_s = 0;    ///< bandwidth of a root complex, both directions together, if many pairs of GPUs talk
  double processors = 0;          ///< processors that all GPUs of a node share evenly; 0: each GPU has its own
  double shared_bytes_per_s = 0;  ///< bandwidth of all messages in the node together; 0: no such limit
  std::vector<StartupPoint> link_startups = {};  ///< start-up of larger messages in the node, ascending by size
  std::vector<StartupPoint> nic_startups = {};   ///< start-up of larger messages between nodes, ascending by size
  int link_sms = 0;                              ///< SMs that an exchange in the node takes from compute
  int nic_sms = 0;                               ///< SMs that an exchange between nodes takes from compute
  /// Fraction of bandwidth left: of a GPU's port while the GPU computes, of `shared_bytes_per_s` while any GPU does.
  double link_efficiency_during_compute = 1;
  /// Fraction of a GPU's compute rate left while bytes flow through its port.
  double compute_efficiency_during_transfers = 1;
};

/// The network between nodes.
struct Fabric {
  enum class Kind : std::uint8_t {
    kNonBlocking,  ///< any two NICs reach each other at their own bandwidth
    kFatTree,      ///< all NICs of `nodes_per_leaf` nodes on one leaf switch; leaf switches are joined by spines
    kRail,         ///< NIC k of all `nodes_per_leaf` nodes on rail switch k; rail switches are joined by spines
  };
  Kind kind = Kind::kNonBlocking;
  int nodes_per_leaf = 0;       ///< fat tree, rail: nodes on one leaf switch or one set of rail switches
  double oversubscription = 1;  ///< fat tree, rail: bandwidth of a leaf to its NICs over that to the spines
  int paths = 0;  ///< fat tree, rail: spines; a message takes one, by a hash of its NICs; 0: it spreads evenly over all
};

/// A number of a cluster or profile, as its file has it.
struct Figure {
  std::string value;
  std::string source;
  double uncertainty = 0;  ///< how far off the value may be either way; 0: unknown
};

/// A cluster: any number of equal nodes and the fabric between them.
struct Cluster {
  std::string name;
  GpuProfile gpu;
  Node node;
  Fabric fabric;
  /// All figures by "section.key" of their file, but for attention points. The source of a guess begins with "assumed".
  std::map<std::string, Figure> figures;
};

}  // namespace meshattn
