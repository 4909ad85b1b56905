#include "gpu/fast_attention.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gpu/attention_plans.h"
#include "gpu/cuda.h"
#include "gpu/kernels.h"

namespace meshattn::gpu {

using Sight = FusedKey::Sight;

class FastAttention::Plans {
 public:
  Plans(std::span<const Call> calls, std::uint64_t scratch, bool repeatable)
      : device_(AttentionPlans::of_device()), scratch_(scratch), repeatable_(repeatable) {
    for (const Call& call : calls) {
      if (const auto* attend = std::get_if<AttendCall>(&call))
        for (const FusedForward& f : fused(*attend, scratch_, scratch_bytes_)) make(f.key);
      if (const auto* backward = std::get_if<BackwardCall>(&call))
        for (const FusedBackward& b : fused(*backward, scratch_, repeatable_, scratch_bytes_)) make(b.key);
    }
  }

  [[nodiscard]] std::uint64_t bytes() const { return scratch_bytes_ + (workspace_bytes_ + 255) / 256 * 256; }

  bool run(const AttendCall& call, std::byte* arena, cudaStream_t stream) const {
    std::uint64_t used = 0;
    const std::vector<FusedForward> kernels = fused(call, scratch_, used);
    return run(kernels, [&](const FusedForward& f, const GraphPlan& plan) {
      Scalars scalars(call.q.width, call.band);
      std::vector<std::pair<std::int64_t, void*>> tensors = scalars.tensors();
      bind(tensors, arena,
           {{kGraphQ, f.call.q},
            {kGraphK, f.call.k},
            {kGraphV, f.call.v},
            {kGraphO, f.call.o},
            {kGraphLse, f.call.lse}});
      execute(plan, tensors, arena, stream);
      for (const CombineCall& merge : f.after) launch(merge, arena, stream);
    });
  }

  bool run(const BackwardCall& call, std::byte* arena, cudaStream_t stream) const {
    std::uint64_t used = 0;
    const std::vector<FusedBackward> kernels = fused(call, scratch_, repeatable_, used);
    return run(kernels, [&](const FusedBackward& b, const GraphPlan& plan) {
      launch(b.before, arena, stream);
      if (!repeatable_)
        check(cudaMemsetAsync(arena + b.dq_sum, 0, dq_sum_bytes(b.key), stream), "clearing a sum of dq");
      Scalars scalars(call.q.width, call.band);
      std::vector<std::pair<std::int64_t, void*>> tensors = scalars.tensors();
      tensors.emplace_back(kGraphOne, &scalars.one);
      if (!repeatable_) tensors.emplace_back(kGraphDQSum, arena + b.dq_sum);
      bind(tensors, arena,
           {{kGraphQ, b.call.q},
            {kGraphK, b.call.k},
            {kGraphV, b.call.v},
            {kGraphO, b.before.made},
            {kGraphLse, b.call.lse},
            {kGraphDO, b.call.d_o},
            {kGraphDQ, b.call.dq},
            {kGraphDK, b.call.dk},
            {kGraphDV, b.call.dv}});
      execute(plan, tensors, arena, stream);
      for (const CombineCall& sum : b.after) launch(sum, arena, stream);
    });
  }

  template <typename Other>
  bool run(const Other&, std::byte*, cudaStream_t) const {
    return false;
  }

 private:
  /// Calls f(kernel, its plan) for all of a call's, if there are any and cuDNN takes them all. @returns whether it did
  template <typename Kernel, typename F>
  bool run(const std::vector<Kernel>& kernels, F&& f) const {
    std::vector<const GraphPlan*> plans;
    for (const Kernel& kernel : kernels) plans.push_back(device_.plan(kernel.key));
    if (plans.empty() || std::ranges::count(plans, nullptr) > 0) return false;
    for (std::size_t i = 0; i < kernels.size(); ++i) f(kernels[i], *plans[i]);
    return true;
  }

  /// What travels by value; must live until the plan has been executed.
  struct Scalars {
    float scale, no_sight = -std::numeric_limits<float>::max(), one = 1;
    std::int32_t upper, lower;
    Sight sight;

    Scalars(std::int32_t width, const Band& band)
        : scale(1 / std::sqrt(static_cast<float>(width))),
          upper(static_cast<std::int32_t>(band.upper)),
          lower(static_cast<std::int32_t>(band.lower)),
          sight(sight_of(band)) {}
    std::vector<std::pair<std::int64_t, void*>> tensors() {
      std::vector<std::pair<std::int64_t, void*>> all{{kGraphScale, &scale}};
      if (sight != Sight::kFull) all.emplace_back(kGraphNoSight, &no_sight);
      if (sight == Sight::kUpper || sight == Sight::kBoth) all.emplace_back(kGraphUpper, &upper);
      if (sight == Sight::kLower || sight == Sight::kBoth) all.emplace_back(kGraphLower, &lower);
      return all;
    }
  };

  static void bind(std::vector<std::pair<std::int64_t, void*>>& tensors, std::byte* arena,
                   std::initializer_list<std::pair<GraphTensorNumber, Rows>> rows) {
    for (const auto& [number, where] : rows) tensors.emplace_back(number, arena + where.offset);
  }

  void execute(const GraphPlan& plan, std::span<const std::pair<std::int64_t, void*>> tensors, std::byte* arena,
               cudaStream_t stream) const {
    cudnnSetStream(device_.handle(), stream);
    plan.run(device_.handle(), tensors, arena + scratch_ + scratch_bytes_);
  }

  void make(const FusedKey& key) {
    if (const GraphPlan* plan = device_.plan(key))
      workspace_bytes_ = std::max(workspace_bytes_, static_cast<std::uint64_t>(plan->workspace_bytes()));
  }

  AttentionPlans& device_;
  std::uint64_t scratch_, scratch_bytes_ = 0, workspace_bytes_ = 0;
  bool repeatable_;
};

FastAttention::FastAttention(std::span<const Call> calls, std::uint64_t scratch, bool repeatable)
    : plans_(std::make_unique<Plans>(calls, scratch, repeatable)) {}
FastAttention::FastAttention(FastAttention&&) noexcept = default;
FastAttention::~FastAttention() = default;

std::uint64_t FastAttention::scratch_bytes() const { return plans_->bytes(); }

bool FastAttention::run(const Call& call, std::byte* arena, cudaStream_t stream) const {
  return std::visit([&](const auto& c) { return plans_->run(c, arena, stream); }, call);
}

std::string fast_attention_version() {
  const std::size_t version = cudnnGetVersion();
  return fmt::format("cuDNN {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace meshattn::gpu
