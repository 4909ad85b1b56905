#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/problem/attention.h"

namespace meshattn {

/// Masks that attention kernels are measured with.
enum class KernelMask : std::uint8_t { kFull, kCausal };

[[nodiscard]] std::string_view name_of(KernelMask mask);

/// @throws InvalidInput naming what was given and the possible names.
[[nodiscard]] KernelMask parse_kernel_mask(std::string_view name);

/// A measured (or published) attention kernel: how fast one shape ran.
struct AttentionPoint {
  Pass pass = Pass::kForward;
  KernelMask mask = KernelMask::kFull;
  Dtype dtype = Dtype::kBf16;
  std::int64_t q_tokens = 0;   ///< of one batch item
  std::int64_t kv_tokens = 0;  ///< of one batch item
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 128;
  int batch = 1;           ///< items
  double flops_per_s = 0;  ///< by the convention of `flops`, pairs counted under the mask
  std::string source;
};

/// What a program does round its kernels. Bytes are moved for each element of a sum, read and written together.
struct Framework {
  double merge_bytes = 12;     ///< a block's output into a sum that has begun: one kernel, all in fp32
  double gradient_bytes = 12;  ///< likewise a gradient
  double part_bytes = 0;       ///< more, where a kernel contributes to some tokens of an output's sum only
  double output_bytes = 0;     ///< once, of a sum that is an output, before it is made so
  int merge_kernels = 1;       ///< that merge a block's output
  int gradient_kernels = 1;    ///< that add its gradients
  double host_s = 0;           ///< that a host needs to issue a compute op, one after the other
  /// Read + written where what is exchanged by heads is copied, once on either side, so that heads lie together; no
  /// faster than merging. Infinite: nothing is copied.
  double layout_bytes_per_s = std::numeric_limits<double>::infinity();
  /// NCCL's stream waits for all that was issued before, and its kernels have no priority: beside attention that starts
  /// at the same moment an exchange starts only when all of attention's tiles are on SMs, in its last wave.
  bool late_exchanges = false;
};

/// What one GPU is good at, and the program that runs on it.
struct GpuProfile {
  std::string name;
  double memory_bytes = 0;
  int sms = 0;                       ///< streaming multiprocessors; 0: kernels have no tail, and lose nothing to NCCL
  double attention_flops_per_s = 0;  ///< one rate for everything, where there are no points
  std::vector<AttentionPoint> attention;
  double attention_scale = 1;    ///< of all these rates
  std::map<Pass, double> tails;  ///< waves that the end of a kernel that is not full idles, where it is not half a one
  double combine_bytes_per_s = std::numeric_limits<double>::infinity();     ///< read + written while merging partials
  double accumulate_bytes_per_s = std::numeric_limits<double>::infinity();  ///< likewise while summing gradients
  double launch_s = 0;                                                      ///< start of one compute op
  Framework framework;

  [[nodiscard]] double tail(Pass pass) const {
    const auto known = tails.find(pass);
    return known == tails.end() ? 0.5 : known->second;
  }
};

/// The start-up of messages of a size.
struct StartupPoint {
  double bytes = 0;
  double seconds = 0;
};

/// One server: GPUs joined by a switch (NVSwitch or PCIe), each with a port into it.
struct Node {
  int gpus = 8;
  double link_bytes_per_s = 0;    ///< of one GPU's port, each direction, as a transfer can use it
  double link_startup_s = 0;      ///< of one message between GPUs of the node
  int gpus_per_switch = 0;        ///< GPUs under one PCIe switch or socket; 0: all under one
  double switch_bytes_per_s = 0;  ///< between such switches, each direction, shared by the GPUs of a switch
  int gpus_per_nic = 1;
  double nic_bytes_per_s = 0;     ///< of one NIC, each direction, as a transfer can use it
  double nic_startup_s = 0;       ///< of one message between nodes
  int gpus_per_root = 0;          ///< GPUs on one CPU, the PCIe switch of what no other switch joins; 0: not on CPUs
  double root_bytes_per_s = 0;    ///< that a CPU passes on of many messages at once, all directions together
  double processors = 0;          ///< that compute for all GPUs of a node, in equal parts; 0: each GPU for itself
  double shared_bytes_per_s = 0;  ///< of all messages within the node together; 0: as much as ports and switches pass
  /// Where start-up grows with the message: larger ones, ascending by size.
  std::vector<StartupPoint> link_startups = {}, nic_startups = {};
  int link_sms = 0;  ///< SMs that an exchange within the node takes from compute
  int nic_sms = 0;   ///< SMs that an exchange between nodes takes from compute
  double link_efficiency_during_compute =
      1;  ///< of a GPU's port while it computes; of what all share while any GPU does
  double compute_efficiency_during_transfers = 1;  ///< of a GPU's compute, while bytes flow through its port
};

/// What joins the nodes.
struct Fabric {
  enum class Kind : std::uint8_t {
    kNonBlocking,  ///< any NIC reaches any other at its own speed
    kFatTree,      ///< leaf switches with `nodes_per_leaf` nodes; up-links `oversubscription` times thinner
    kRail,         ///< NIC k of every node of a leaf group on rail switch k; other rails are reached over a spine
  };
  Kind kind = Kind::kNonBlocking;
  int nodes_per_leaf = 0;       ///< fat tree and rail: nodes whose NICs share leaf (rail) switches
  double oversubscription = 1;  ///< fat tree and rail: capacity into a leaf over its capacity to the spine
  int paths = 0;  ///< likewise: spines, of which a message takes one, by a hash of its two NICs; 0: all in equal parts
};

/// A number as its file has it, and where it comes from.
struct Figure {
  std::string value;
  std::string source;
  double uncertainty = 0;  ///< how far it may be off either way, as far as is known
};

/// A cluster of any number of such nodes.
struct Cluster {
  std::string name;
  GpuProfile gpu;
  Node node;
  Fabric fabric;
  /// Every number by "section.key" of its file; its source says `assumed …` where it is a guess.
  std::map<std::string, Figure> figures;
};

}  // namespace meshattn
