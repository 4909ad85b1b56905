#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// cuDNN's fused attention for the blocks of one rank: 16-bit inputs, fp32 results. What it does not take, a build
/// without cuDNN included, is left to the reference kernels, and said once on the log.
class FusedAttention {
 public:
  /// Makes the plans of all calls for the current device.
  /// @param scratch where scratch memory begins, bytes into the arena
  /// @param repeatable two runs give the same bits, at the cost of queries × keys of workspace in backward passes
  FusedAttention(std::span<const Call> calls, std::uint64_t scratch, bool repeatable);
  FusedAttention(FusedAttention&&) noexcept;
  ~FusedAttention();

  /// Bytes of scratch memory that run() uses; 256-byte aligned.
  [[nodiscard]] std::uint64_t scratch_bytes() const;
  /// Says where the arena is, once, before anything is run.
  void bind(std::byte* arena);
  /// @param call its place among all that were given
  /// @param arena where it was placed
  /// @returns whether the call was launched; else it is for the reference kernels.
  [[nodiscard]] bool run(std::size_t call, std::byte* arena, cudaStream_t stream) const;

 private:
  class Plans;
  std::unique_ptr<Plans> plans_;
};

/// "cuDNN 9.19.0", or "without cuDNN".
[[nodiscard]] std::string fused_attention_version();

}  // namespace meshattn::gpu
