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

/// @throws InvalidInput naming the text and the possible names.
[[nodiscard]] KernelMask parse_kernel_mask(std::string_view name);

/// The measured or published rate of an attention kernel of one shape.
struct AttentionPoint {
  Pass pass = Pass::kForward;
  KernelMask mask = KernelMask::kFull;
  Dtype dtype = Dtype::kBf16;
  std::int64_t q_tokens = 0;   ///< of one batch item
  std::int64_t kv_tokens = 0;  ///< of one batch item
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 128;
  int batch = 1;           ///< batch items
  double flops_per_s = 0;  ///< operations per second, counted by `flops` for the pairs under the mask
  std::string source;
};

/// The work of a program besides its attention kernels: copies, sums, launches, its host. Numbers of bytes are per
/// element of a sum, reads and writes together.
struct Framework {
  double merge_bytes = 12;     ///< bytes to merge the output of a block into a sum; 12: one fp32 kernel
  double gradient_bytes = 12;  ///< bytes to add the gradient of a block to a sum
  double part_bytes = 0;       ///< more bytes if a kernel contributes to only part of a sum's tokens
  double output_bytes = 0;     ///< bytes to convert a sum that is an output, once
  int merge_kernels = 1;       ///< kernels that merge the output of a block
  int gradient_kernels = 1;    ///< kernels that add the gradients of a block
  double host_s = 0;           ///< seconds of the host to issue one compute op
  /// Bytes per second, read + written, of the copies before and after an exchange by heads, which make each head
  /// contiguous; at most the rate of merging. Infinite: no copies.
  double layout_bytes_per_s = std::numeric_limits<double>::infinity();
  /// True if an exchange that starts together with an attention kernel waits until all thread blocks of that kernel are
  /// on SMs, that is until its last wave. NCCL's stream waits for earlier work and its kernels have no priority.
  bool late_exchanges = false;
};

/// The rates of one GPU, and the framework of the program that runs on it.
struct GpuProfile {
  std::string name;
  double memory_bytes = 0;
  int sms = 0;  ///< streaming multiprocessors; 0: unknown, kernels have no idle tail and lose no SMs to exchanges
  double attention_flops_per_s = 0;       ///< one rate for all attention kernels, if there are no points
  std::vector<AttentionPoint> attention;  ///< measured rates of attention kernels
  double attention_scale = 1;             ///< factor on all attention rates
  std::map<Pass, double> tails;           ///< idle tail of a kernel, in waves; 0.5 if not given
  double combine_bytes_per_s = std::numeric_limits<double>::infinity();     ///< read + written when merging partials
  double accumulate_bytes_per_s = std::numeric_limits<double>::infinity();  ///< read + written when summing gradients
  double launch_s = 0;                                                      ///< start of one compute op, in seconds
  Framework framework;

  /// Idle tail of a kernel whose blocks are not all full, in waves.
  [[nodiscard]] double tail(Pass pass) const {
    const auto known = tails.find(pass);
    return known == tails.end() ? 0.5 : known->second;
  }
};

}  // namespace meshattn
