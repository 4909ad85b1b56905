#include <spdlog/spdlog.h>

#include "gpu/fused/fused_attention.h"

namespace meshattn::gpu {

class FusedAttention::Plans {};

FusedAttention::FusedAttention(std::span<const Call>, std::uint64_t, bool) {
  spdlog::warn("built without cuDNN: attention runs on the slow reference kernels");
}
FusedAttention::FusedAttention(FusedAttention&&) noexcept = default;
FusedAttention::~FusedAttention() = default;

std::uint64_t FusedAttention::scratch_bytes() const { return 0; }

void FusedAttention::bind(std::byte*) {}

bool FusedAttention::run(std::size_t, std::byte*, cudaStream_t) const { return false; }

std::string fused_attention_version() { return "without cuDNN"; }

}  // namespace meshattn::gpu
