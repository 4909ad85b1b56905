#include <spdlog/spdlog.h>

#include "gpu/fused/fast_attention.h"

namespace meshattn::gpu {

/// Nothing is planned.
class FastAttention::Plans {};

FastAttention::FastAttention(std::span<const Call>, std::uint64_t, bool) {
  spdlog::warn("built without cuDNN: attention runs on the reference kernels, slowly");
}
FastAttention::FastAttention(FastAttention&&) noexcept = default;
FastAttention::~FastAttention() = default;

std::uint64_t FastAttention::scratch_bytes() const { return 0; }

void FastAttention::place(std::byte*) {}

bool FastAttention::run(std::size_t, std::byte*, cudaStream_t) const { return false; }

std::string fast_attention_version() { return "without cuDNN"; }

}  // namespace meshattn::gpu
