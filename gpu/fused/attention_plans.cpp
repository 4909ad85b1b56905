#include "gpu/fused/attention_plans.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include "core/base/error.h"
#include "gpu/base/cuda.h"

namespace meshattn::gpu {

AttentionPlans::AttentionPlans() {
  cudnnHandle_t made = nullptr;
  if (const cudnnStatus_t status = cudnnCreate(&made); status != CUDNN_STATUS_SUCCESS)
    throw DeviceError(fmt::format("cuDNN: handle creation: {}", cudnnGetErrorString(status)));
  handle_.reset(made);
}

AttentionPlans& AttentionPlans::of_device() {
  // Never destroyed: the driver may shut down before static objects are destroyed.
  static std::mutex& mutex = *new std::mutex;
  static auto& all = *new std::map<int, std::unique_ptr<AttentionPlans>>;
  int device = 0;
  check(cudaGetDevice(&device), "the current device");
  const std::lock_guard lock(mutex);
  std::unique_ptr<AttentionPlans>& plans = all[device];
  if (!plans) plans.reset(new AttentionPlans);
  return *plans;
}

const GraphPlan* AttentionPlans::plan(const FusedKey& key) {
  const std::lock_guard lock(mutex_);
  const auto [at, is_new] = plans_.try_emplace(key);
  if (is_new) try {
      Graph graph = key.pass == Pass::kForward ? forward_graph(key) : backward_graph(key);
      at->second = graph.plan({handle_.get(), {}});
    } catch (const DeviceError& e) {
      spdlog::warn("{} of {} x {} tokens, {} heads of {}, runs on the slow reference kernels: {}", name_of(key.pass),
                   key.queries, key.keys, key.heads, key.width, e.what());
    }
  return at->second ? &*at->second : nullptr;
}

}  // namespace meshattn::gpu
