#pragma once

#include <cmath>

#include "core/cluster/cluster.h"
#include "core/problem/problem.h"

// A GPU profile with known rates, and problems to apply it to.
namespace meshattn::testing {

inline Problem problem(std::int64_t seq, int ranks, Mask mask = Mask::kFull, Pass pass = Pass::kForward,
                       Partition partition = Partition::kContiguous) {
  return {{seq, seq, 1, 32, 8, 128, Dtype::kBf16}, mask, partition, pass, ranks};
}

inline AttentionPoint point(Pass pass, KernelMask mask, std::int64_t tokens, double tflops) {
  return {pass, mask, Dtype::kBf16, tokens, tokens, 32, 8, 128, 1, tflops * 1e12, "test"};
}

/// A profile whose rates grow with the length and differ by pass and mask.
inline GpuProfile measured() {
  GpuProfile gpu;
  gpu.name = "test";
  gpu.combine_bytes_per_s = 1e12;
  gpu.accumulate_bytes_per_s = 0.8e12;
  gpu.launch_s = 3e-6;
  for (std::int64_t tokens : {1024, 4096, 32768}) {
    const double length = std::log2(static_cast<double>(tokens));
    gpu.attention.push_back(point(Pass::kForward, KernelMask::kFull, tokens, 40 * length));
    gpu.attention.push_back(point(Pass::kForward, KernelMask::kCausal, tokens, 35 * length));
    gpu.attention.push_back(point(Pass::kBackward, KernelMask::kFull, tokens, 30 * length));
    gpu.attention.push_back(point(Pass::kBackward, KernelMask::kCausal, tokens, 25 * length));
  }
  return gpu;
}

}  // namespace meshattn::testing
