#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// cuDNN's fused attention for the blocks of one rank: 16-bit inputs, fp32 results. Blocks that cuDNN does not support,
/// and all blocks in a build without cuDNN, fall back to the reference kernels, which is logged once.
class FusedAttention {
 public:
  /// Makes the plans of all calls for the current device.
  /// @param scratch the offset of scratch memory in the arena, bytes
  /// @param repeatable results are bitwise repeatable; backward takes workspace proportional to queries × keys
  FusedAttention(std::span<const Call> calls, std::uint64_t scratch, bool repeatable);
  FusedAttention(FusedAttention&&) noexcept;
  ~FusedAttention();

  /// Bytes of scratch memory that run() uses, a multiple of 256.
  [[nodiscard]] std::uint64_t scratch_bytes() const;
  /// Sets the address of the arena. Call it once, before run().
  void bind(std::byte* arena);
  /// Launches a call.
  /// @param call its index among the calls given to the constructor
  /// @param arena the address given to bind()
  /// @returns false if the call was not launched and is left to the reference kernels
  [[nodiscard]] bool run(std::size_t call, std::byte* arena, cudaStream_t stream) const;

 private:
  class Plans;
  std::unique_ptr<Plans> plans_;
};

/// "cuDNN 9.19.0", or "without cuDNN".
[[nodiscard]] std::string fused_attention_version();

}  // namespace meshattn::gpu
