#pragma once

#include <span>
#include <vector>

#include "core/schedule/schedule.h"
#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// The kernels of a rank's compute ops, in the order in which they run.
class Calls {
 public:
  /// @param schedule with memory assigned
  /// @throws InvalidInput if head_dim exceeds kMaxWidth
  Calls(const Schedule& schedule, Rank rank);

  [[nodiscard]] std::span<const Call> of(OpId op) const& {
    const std::size_t i = op - first_op_;
    return {calls_.data() + first_[i], calls_.data() + first_[i + 1]};
  }
  [[nodiscard]] std::span<const Call> all() const& { return calls_; }
  void of(OpId op) const&& = delete;
  void all() const&& = delete;

 private:
  OpId first_op_;
  std::vector<Call> calls_;
  std::vector<std::size_t> first_;  ///< by op of the rank: its first call; one more at the end
};

}  // namespace meshattn::gpu
