#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "gpu/fused/attention_graph.h"

namespace meshattn::gpu {

/// cuDNN's plans of one device, each made once for all ranks and runs of this process: making one takes about a second.
class AttentionPlans {
 public:
  /// Those of the current device; they live as long as the process.
  [[nodiscard]] static AttentionPlans& of_device();

  [[nodiscard]] cudnnHandle_t handle() const { return handle_.get(); }
  /// Makes the plan if there is none yet. @returns nothing if cuDNN does not take it, which is said once on the log
  const GraphPlan* plan(const FusedKey& key);

 private:
  AttentionPlans();

  struct DestroyHandle {
    void operator()(cudnnHandle_t h) const { cudnnDestroy(h); }
  };
  std::unique_ptr<cudnnContext, DestroyHandle> handle_;
  std::mutex mutex_;                                    ///< of plans_
  std::map<FusedKey, std::optional<GraphPlan>> plans_;  ///< nothing: cuDNN does not take it
};

}  // namespace meshattn::gpu
