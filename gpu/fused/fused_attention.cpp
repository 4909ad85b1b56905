#include "gpu/fused/fused_attention.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/schedule/passes/arena.h"
#include "gpu/base/cuda.h"
#include "gpu/fused/attention_plans.h"
#include "gpu/kernels/cuda_kernels.h"

namespace meshattn::gpu {

namespace {

/// Whether the sums of a kernel's epilogue have few enough summands, which large groups of heads do not.
bool can_sum(const FusedKernel& kernel) {
  return std::ranges::all_of(kernel.epilogue, [](const CombineCall& c) { return c.summands.size() <= kMaxSummands; });
}

bool is_attention(const Call& call) {
  return std::holds_alternative<AttendCall>(call) || std::holds_alternative<BackwardCall>(call);
}

}  // namespace

/// The kernels of every call and their plans; none for calls left to the reference kernels.
class FusedAttention::Plans {
 public:
  Plans(std::span<const Call> calls, std::uint64_t scratch, bool repeatable)
      : device_(AttentionPlans::of_device()), workspace_(scratch) {
    std::uint64_t scratch_bytes = 0;
    std::size_t left = 0;
    for (const Call& call : calls) {
      FusedCall made = fused(call, scratch, repeatable);
      if (!std::ranges::all_of(made.kernels, can_sum)) made = {};
      std::vector<Planned>& planned = kernels_.emplace_back();
      if (made.kernels.empty()) left += is_attention(call);
      for (FusedKernel& kernel : made.kernels)
        if (const GraphPlan* plan = device_.plan(kernel.key)) planned.push_back({std::move(kernel), plan, {}, {}});
      if (planned.size() < made.kernels.size()) planned.clear();  // all kernels of a call or none
      for (const Planned& p : planned)
        workspace_bytes_ = std::max(workspace_bytes_, static_cast<std::uint64_t>(p.plan->workspace_bytes()));
      scratch_bytes = std::max(scratch_bytes, made.scratch_bytes);
    }
    workspace_ = scratch + scratch_bytes;
    bytes_ = scratch_bytes + Arena::aligned(workspace_bytes_);
    if (left > 0)
      spdlog::warn(
          "{} attention kernels of a rank run on the slow reference kernels: cuDNN's take 16-bit inputs with a head "
          "dim "
          "that is a multiple of 8 and at most 256, and in backward groups of fewer than {} heads",
          left, kMaxSummands);
  }

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  void bind(std::byte* arena) {
    for (std::vector<Planned>& of_call : kernels_)
      for (Planned& p : of_call) {
        p.scalars = scalars_of(p.kernel);
        p.pack = GraphPlan::pack(graph_tensors(p.kernel, p.scalars, arena), arena + workspace_);
      }
  }

  bool run(std::size_t call, std::byte* arena, cudaStream_t stream) const {
    for (const auto& [kernel, plan, scalars, pack] : kernels_[call]) {
      if (kernel.prologue) launch(*kernel.prologue, arena, stream);
      if (kernel.prologue && !kernel.key.repeatable)
        check(cudaMemsetAsync(arena + kernel.dq_sum, 0, dq_sum_bytes(kernel.key), stream), "clearing a sum of dq");
      if (cudnnSetStream(device_.handle(), stream) != CUDNN_STATUS_SUCCESS)
        throw DeviceError("cuDNN: cannot set the stream");
      plan->run(device_.handle(), *pack);
      for (const CombineCall& sum : kernel.epilogue) launch(sum, arena, stream);
    }
    return !kernels_[call].empty();
  }

 private:
  struct Planned {
    FusedKernel kernel;
    const GraphPlan* plan;
    GraphScalars scalars;            ///< the pack points to them
    std::optional<Descriptor> pack;  ///< set by bind()
  };

  AttentionPlans& device_;
  std::vector<std::vector<Planned>> kernels_;  ///< by call
  std::uint64_t workspace_ = 0, workspace_bytes_ = 0, bytes_ = 0;
};

FusedAttention::FusedAttention(std::span<const Call> calls, std::uint64_t scratch, bool repeatable)
    : plans_(std::make_unique<Plans>(calls, scratch, repeatable)) {}
FusedAttention::FusedAttention(FusedAttention&&) noexcept = default;
FusedAttention::~FusedAttention() = default;

std::uint64_t FusedAttention::scratch_bytes() const { return plans_->bytes(); }

void FusedAttention::bind(std::byte* arena) { plans_->bind(arena); }

bool FusedAttention::run(std::size_t call, std::byte* arena, cudaStream_t stream) const {
  return plans_->run(call, arena, stream);
}

std::string fused_attention_version() {
  const std::size_t version = cudnnGetVersion();
  return fmt::format("cuDNN {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace meshattn::gpu
