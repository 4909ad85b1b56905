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

/// One rank's memory, streams and kernels on a device: its arena, scratch memory and a stream for each lane.
/// Communication lanes have high priority, so that their kernels do not queue behind attention.
class RankContext {
 public:
  /// Allocates the memory and makes the plans of all kernels.
  RankContext(const Schedule& schedule, Rank rank, int device, Kernels kernels);

  [[nodiscard]] Rank rank() const { return rank_; }
  [[nodiscard]] int device() const { return device_; }
  /// Makes this rank's device the current device.
  void use() const;
  [[nodiscard]] cudaStream_t stream(Lane lane) const { return streams_[lane].get(); }
  [[nodiscard]] std::byte* arena() const { return memory_.data(); }

  /// Copies this rank's inputs to the device and fills all other bytes with NaN.
  /// @param given the tensors, or null for random inputs
  void load(const cpu::Tensors* given);
  /// Copies this rank's outputs into the tensors.
  void store(cpu::Tensors& to) const;
  /// Launches the kernels of a compute op.
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
