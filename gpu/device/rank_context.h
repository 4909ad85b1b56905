#pragma once

#include <optional>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"
#include "gpu/base/cuda.h"
#include "gpu/fused/fused_attention.h"
#include "gpu/issue/calls.h"
#include "gpu/kernels/kernel_choice.h"

namespace meshattn::gpu {

/// One rank's share of a device: its arena, scratch memory and a stream for each lane. Communication lanes have high
/// priority, so that what they launch does not queue behind attention.
class RankContext {
 public:
  /// Allocates everything on a device and makes the plans of all kernels.
  RankContext(const Schedule& schedule, Rank rank, int device, Kernels kernels);

  [[nodiscard]] Rank rank() const { return rank_; }
  [[nodiscard]] int device() const { return device_; }
  /// Makes its device the current one.
  void use() const;
  [[nodiscard]] cudaStream_t stream(Lane lane) const { return streams_[lane].get(); }
  [[nodiscard]] std::byte* arena() const { return memory_.data(); }

  /// The inputs of this rank, made-up ones if none are given; all other bytes become NaN.
  void load(const cpu::Tensors* given);
  /// Puts this rank's outputs where they belong.
  void store(cpu::Tensors& to) const;
  void launch(OpId op, Lane lane) const;

 private:
  const Schedule& s_;
  Rank rank_;
  int device_;
  Calls calls_;
  std::vector<Stream> streams_;  ///< by lane
  std::optional<FusedAttention> fused_;
  DeviceBytes memory_;  ///< the arena, then scratch memory
};

}  // namespace meshattn::gpu
