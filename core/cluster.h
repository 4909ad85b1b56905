#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/attention.h"

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
  double flops_per_s = 0;  ///< by the convention of `flops`, pairs counted under the mask
  std::string source;
};

/// What one GPU is good at.
struct GpuProfile {
  std::string name;
  double memory_bytes = 0;
  double attention_flops_per_s = 0;  ///< one rate for everything, where there are no points
  std::vector<AttentionPoint> attention;
  double combine_bytes_per_s = std::numeric_limits<double>::infinity();  ///< read + written while merging partials
  /// Moved to merge one element of a block's output into a sum that has begun; one kernel: sum read, output read, sum
  /// written, 4 bytes each.
  double merge_bytes = 12;
  double launch_s = 0;  ///< start of one compute op
};

/// One server: GPUs joined by a switch (NVSwitch or PCIe), each with a port into it.
struct Node {
  int gpus = 8;
  double link_bytes_per_s = 0;    ///< of one GPU's port, each direction, as a transfer can use it
  double link_startup_s = 0;      ///< of one message between GPUs of the node
  int gpus_per_switch = 0;        ///< GPUs under one PCIe switch or socket; 0: all under one
  double switch_bytes_per_s = 0;  ///< between such switches, each direction, shared by the GPUs of a switch
  int gpus_per_nic = 1;
  double nic_bytes_per_s = 0;  ///< of one NIC, each direction, as a transfer can use it
  double nic_startup_s = 0;    ///< of one message between nodes
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
};

/// A number as its file has it, and where it comes from.
struct Figure {
  std::string value;
  std::string source;
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
