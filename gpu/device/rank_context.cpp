#include "gpu/device/rank_context.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "core/schedule/passes/arena.h"
#include "gpu/kernels/cuda_kernels.h"
#include "gpu/kernels/value_conversion.h"

namespace meshattn::gpu {

RankContext::RankContext(const Schedule& s, Rank rank, int device, Kernels kernels)
    : s_(s), rank_(rank), device_(device), calls_(s, rank) {
  for (const Call& call : calls_.all())
    if (const auto* sum = std::get_if<CombineCall>(&call); sum != nullptr && sum->summands.size() > kMaxSummands)
      throw InvalidInput(fmt::format("rank {} merges {} partials at once: the kernel takes up to {}", rank,
                                     sum->summands.size(), kMaxSummands));
  use();
  for (int lane = 0; lane < s.lanes(); ++lane)
    streams_.emplace_back(lane == kComputeLane ? Stream::Priority::kNormal : Stream::Priority::kHigh);
  const std::uint64_t scratch = Arena::aligned(s.peak_bytes);
  if (kernels != Kernels::kReference) fused_.emplace(calls_.all(), scratch, kernels == Kernels::kRepeatable);
  memory_ = DeviceBytes(scratch + (fused_ ? fused_->scratch_bytes() : 0) + 256);
  if (fused_) fused_->bind(arena());
}

void RankContext::use() const {
  // Called often: the text of an error is made only if there is one.
  if (const cudaError_t status = cudaSetDevice(device_); status != cudaSuccess)
    check(status, fmt::format("device {}", device_));
}

void RankContext::load(const cpu::Tensors* given) {
  use();
  check(cudaMemset(arena(), 0xFF, memory_.size()), "clearing memory");
  for (ValueId v : s_.inputs) {
    if (s_.values[v].rank != rank_) continue;
    const std::vector<std::byte> bytes = input_bytes(s_, v, given);
    check(cudaMemcpy(arena() + s_.offset[v], bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "copying an input");
  }
  check(cudaDeviceSynchronize(), "copying inputs");  // the lanes' streams do not wait for the default stream
}

void RankContext::store(cpu::Tensors& to) const {
  use();
  for (ValueId v : s_.outputs) {
    if (s_.values[v].rank != rank_) continue;
    std::vector<std::byte> bytes(s_.bytes(v));
    check(cudaMemcpy(bytes.data(), arena() + s_.offset[v], bytes.size(), cudaMemcpyDeviceToHost), "copying an output");
    read_output(s_, v, bytes, to);
  }
}

void RankContext::launch(OpId op, Lane lane) const {
  use();
  for (const Call& call : calls_.of(op)) {
    const auto index = static_cast<std::size_t>(&call - calls_.all().data());
    if (!fused_ || !fused_->run(index, arena(), stream(lane))) gpu::launch(call, arena(), stream(lane));
  }
}

}  // namespace meshattn::gpu
