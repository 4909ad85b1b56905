#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "gpu/fused/attention_graph.h"

namespace meshattn::gpu {

/// cuDNN's plans for one device. Making a plan takes about a second; all ranks and runs of this process share it.
class AttentionPlans {
 public:
  /// The plans of the current device. They live as long as the process.
  [[nodiscard]] static AttentionPlans& of_device();

  [[nodiscard]] cudnnHandle_t handle() const { return handle_.get(); }
  /// Makes the plan at the first call. @returns null if cuDNN does not support it, which is logged once
  const GraphPlan* plan(const FusedKey& key);

 private:
  AttentionPlans();

  struct DestroyHandle {
    void operator()(cudnnHandle_t h) const { cudnnDestroy(h); }
  };
  std::unique_ptr<cudnnContext, DestroyHandle> handle_;
  std::mutex mutex_;                                    ///< guards plans_
  std::map<FusedKey, std::optional<GraphPlan>> plans_;  ///< nothing: not supported by cuDNN
};

}  // namespace meshattn::gpu
