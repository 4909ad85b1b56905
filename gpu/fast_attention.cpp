#include "gpu/fast_attention.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "core/error.h"
#include "gpu/attention_graph.h"
#include "gpu/cuda.h"
#include "gpu/kernels.h"

namespace meshattn::gpu {

namespace {

using Key = AttentionGraphKey;

struct DestroyHandle {
  void operator()(cudnnHandle_t h) const { cudnnDestroy(h); }
};

/// Gives out scratch memory, piece after piece.
class Scratch {
 public:
  explicit Scratch(std::uint64_t begin) : begin_(begin), end_(begin) {}

  std::uint64_t bytes(std::uint64_t count) {
    const std::uint64_t at = end_;
    end_ += (count + 255) / 256 * 256;
    return at;
  }
  /// Rows of the same shape, in another dtype.
  Rows like(const Rows& rows, Dtype dtype) {
    const std::uint64_t numbers = static_cast<std::uint64_t>(rows.count()) * static_cast<std::uint64_t>(rows.width);
    return packed_rows(bytes(numbers * (dtype == Dtype::kFp32 ? 4 : 2)), rows.items, rows.heads, rows.tokens,
                       rows.width, dtype);
  }
  [[nodiscard]] std::uint64_t used() const { return end_ - begin_; }

 private:
  std::uint64_t begin_, end_;
};

/// Query heads that share a key/value head, as heads of a batch item of their own.
Rows folded(const Rows& rows, std::int32_t group) {
  return {rows.offset, group * rows.head_stride, rows.head_stride, rows.heads / group, group, rows.tokens, rows.width,
          rows.dtype};
}

/// The one head that a group shares, for each of them.
Rows shared_by(const Rows& rows, std::int32_t group) {
  return {rows.offset, rows.head_stride, 0, rows.heads, group, rows.tokens, rows.width, rows.dtype};
}

/// The h-th head of every batch item, as heads of one item.
Rows head_of_items(const Rows& rows, std::int32_t h) {
  return {rows.offset + static_cast<std::uint64_t>(h * rows.head_stride) * rows.row_bytes(),
          0,
          rows.item_stride,
          1,
          rows.items,
          rows.tokens,
          rows.width,
          rows.dtype};
}

/// An attention kernel with places for all that it reads and writes.
struct Forward {
  Key key;
  Rows o, lse;  ///< in scratch memory if the call merges
};
struct Backward {
  Key key;
  BackwardCall call;  ///< of one item, heads folded; dq, dk, dv in scratch memory where they are summed up afterwards
  Rows surrogate;
  std::uint64_t dq_sum;
  std::vector<CombineCall> after;
};

Key key_of(Pass pass, const Rows& q, const Rows& k, const Band& band) {
  Key key;
  key.pass = pass;
  key.dtype = q.dtype;
  key.sight = sight_of(band);
  key.items = q.items;
  key.heads = q.heads;
  key.kv_heads = k.heads;
  key.queries = q.tokens;
  key.keys = k.tokens;
  key.width = q.width;
  key.q = strides_of(q);
  key.k = strides_of(k);
  return key;
}

Forward plan_of(const AttendCall& call, Scratch& scratch) {
  Forward f{key_of(Pass::kForward, call.q, call.k, call.band), call.o, call.lse};
  if (call.merge) {
    f.o = scratch.like(call.o, Dtype::kFp32);
    f.lse = scratch.like(call.lse, Dtype::kFp32);
  }
  f.key.o = strides_of(f.o);
  f.key.lse = strides_of(f.lse);
  return f;
}

/// The sums that follow a kernel which left parts in scratch memory: those of a group, and what the sum held.
CombineCall sum_of(const Rows& sum, bool adds, const Rows& parts, bool of_group) {
  CombineCall call{{}, sum, {}};
  if (adds) call.summands.push_back({sum, {}});
  if (of_group)
    for (std::int32_t h = 0; h < parts.heads; ++h) call.summands.push_back({head_of_items(parts, h), {}});
  else
    call.summands.push_back({parts, {}});
  return call;
}

/// One kernel for all batch items, or, if heads are grouped, one each.
std::vector<Backward> plan_of(const BackwardCall& whole, std::uint64_t scratch_begin, bool repeatable,
                              std::uint64_t& used) {
  const std::int32_t group = whole.q.heads / whole.k.heads;
  std::vector<Backward> plans;
  for (std::int32_t item = 0; item < (group > 1 ? whole.q.items : 1); ++item) {
    Scratch scratch(scratch_begin);
    BackwardCall call = whole;
    if (group > 1) {
      for (Rows* rows : {&call.q, &call.d_o, &call.lse, &call.delta, &call.dq})
        *rows = folded(rows->of_item(item), group);
      for (Rows* rows : {&call.k, &call.v, &call.dk, &call.dv}) *rows = shared_by(rows->of_item(item), group);
    }
    Backward b{{}, call, scratch.like(call.q, call.q.dtype), 0, {}};
    if (whole.add_dq) {
      b.call.dq = scratch.like(call.dq, Dtype::kFp32);
      b.after.push_back(sum_of(call.dq, true, b.call.dq, false));
    }
    if (whole.add_dkv || group > 1) {
      b.call.dk = scratch.like(call.dk, Dtype::kFp32);
      b.call.dv = scratch.like(call.dv, Dtype::kFp32);
      const Rows dk = group > 1 ? whole.dk.of_item(item) : whole.dk, dv = group > 1 ? whole.dv.of_item(item) : whole.dv;
      b.after.push_back(sum_of(dk, whole.add_dkv, b.call.dk, group > 1));
      b.after.push_back(sum_of(dv, whole.add_dkv, b.call.dv, group > 1));
    }
    b.key = key_of(Pass::kBackward, b.call.q, b.call.k, whole.band);
    b.key.repeatable = repeatable;
    b.key.d_o = strides_of(b.call.d_o);
    b.key.o = strides_of(b.surrogate);
    b.key.lse = strides_of(b.call.lse);
    b.key.dq = strides_of(b.call.dq);
    b.key.dk = strides_of(b.call.dk);
    if (!repeatable) b.dq_sum = scratch.bytes(dq_sum_bytes(b.key));
    used = std::max(used, scratch.used());
    plans.push_back(std::move(b));
  }
  return plans;
}

/// Whether sizes and places are such that cuDNN may take them: 16-byte aligned rows of 16-bit inputs.
bool may_take(const Rows& q) { return q.dtype != Dtype::kFp32 && q.width % 8 == 0 && q.width <= 256; }

}  // namespace

class FastAttention::Plans {
 public:
  Plans(std::span<const Call> calls, std::uint64_t scratch, bool repeatable)
      : scratch_(scratch), repeatable_(repeatable) {
    cudnnHandle_t made = nullptr;
    if (const cudnnStatus_t status = cudnnCreate(&made); status != CUDNN_STATUS_SUCCESS)
      throw DeviceError(fmt::format("cuDNN: a handle: {}", cudnnGetErrorString(status)));
    handle_.reset(made);
    for (const Call& call : calls) {
      if (const auto* attend = std::get_if<AttendCall>(&call); attend != nullptr && may_take(attend->q)) {
        Scratch used(scratch_);
        make(plan_of(*attend, used).key);
        scratch_bytes_ = std::max(scratch_bytes_, used.used());
      }
      if (const auto* backward = std::get_if<BackwardCall>(&call); backward != nullptr && may_take(backward->q))
        for (const Backward& b : plan_of(*backward, scratch_, repeatable_, scratch_bytes_)) make(b.key);
    }
    scratch_bytes_ = (scratch_bytes_ + 255) / 256 * 256;
    for (const auto& [key, plan] : plans_)
      if (plan) workspace_bytes_ = std::max(workspace_bytes_, static_cast<std::uint64_t>(plan->workspace_bytes()));
  }

  [[nodiscard]] std::uint64_t bytes() const { return scratch_bytes_ + (workspace_bytes_ + 255) / 256 * 256; }

  bool run(const AttendCall& call, std::byte* arena, cudaStream_t stream) const {
    Scratch scratch(scratch_);
    const Forward f = plan_of(call, scratch);
    const GraphPlan* plan = find(f.key);
    if (plan == nullptr) return false;
    Scalars scalars(call.q.width, call.band);
    std::vector<std::pair<std::int64_t, void*>> tensors = scalars.tensors();
    bind(tensors, arena, {{kGraphQ, call.q}, {kGraphK, call.k}, {kGraphV, call.v}, {kGraphO, f.o}, {kGraphLse, f.lse}});
    execute(*plan, tensors, arena, stream);
    if (call.merge) launch(CombineCall{{{call.o, call.lse}, {f.o, f.lse}}, call.o, call.lse}, arena, stream);
    return true;
  }

  bool run(const BackwardCall& call, std::byte* arena, cudaStream_t stream) const {
    std::uint64_t used = 0;
    const std::vector<Backward> parts = plan_of(call, scratch_, repeatable_, used);
    if (std::ranges::any_of(parts, [&](const Backward& b) { return find(b.key) == nullptr; })) return false;
    for (const Backward& b : parts) {
      launch_surrogate(b.call.d_o, b.call.delta, b.surrogate, arena, stream);
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
            {kGraphO, b.surrogate},
            {kGraphLse, b.call.lse},
            {kGraphDO, b.call.d_o},
            {kGraphDQ, b.call.dq},
            {kGraphDK, b.call.dk},
            {kGraphDV, b.call.dv}});
      execute(*find(b.key), tensors, arena, stream);
      for (const CombineCall& sum : b.after) launch(sum, arena, stream);
    }
    return true;
  }

  template <typename Other>
  bool run(const Other&, std::byte*, cudaStream_t) const {
    return false;
  }

 private:
  /// What travels by value; must live until the plan has been executed.
  struct Scalars {
    float scale, no_sight = -std::numeric_limits<float>::max(), one = 1;
    std::int32_t upper, lower;
    Key::Sight sight;

    Scalars(std::int32_t width, const Band& band)
        : scale(1 / std::sqrt(static_cast<float>(width))),
          upper(static_cast<std::int32_t>(band.upper)),
          lower(static_cast<std::int32_t>(band.lower)),
          sight(sight_of(band)) {}
    std::vector<std::pair<std::int64_t, void*>> tensors() {
      std::vector<std::pair<std::int64_t, void*>> all{{kGraphScale, &scale}};
      if (sight != Key::Sight::kFull) all.emplace_back(kGraphNoSight, &no_sight);
      if (sight == Key::Sight::kUpper || sight == Key::Sight::kBoth) all.emplace_back(kGraphUpper, &upper);
      if (sight == Key::Sight::kLower || sight == Key::Sight::kBoth) all.emplace_back(kGraphLower, &lower);
      return all;
    }
  };

  static void bind(std::vector<std::pair<std::int64_t, void*>>& tensors, std::byte* arena,
                   std::initializer_list<std::pair<GraphTensorNumber, Rows>> rows) {
    for (const auto& [number, where] : rows) tensors.emplace_back(number, arena + where.offset);
  }

  void execute(const GraphPlan& plan, std::span<const std::pair<std::int64_t, void*>> tensors, std::byte* arena,
               cudaStream_t stream) const {
    cudnnSetStream(handle_.get(), stream);
    plan.run(handle_.get(), tensors, arena + scratch_ + scratch_bytes_);
  }

  void make(const Key& key) {
    if (plans_.contains(key)) return;
    try {
      Graph graph = key.pass == Pass::kForward ? forward_graph(key) : backward_graph(key);
      plans_.emplace(key, graph.plan({handle_.get(), {}}));
    } catch (const DeviceError& e) {
      plans_.emplace(key, std::nullopt);
      spdlog::warn("{} of {} x {} tokens, {} heads of {}, on the reference kernels, slowly: {}", name_of(key.pass),
                   key.queries, key.keys, key.heads, key.width, e.what());
    }
  }

  [[nodiscard]] const GraphPlan* find(const Key& key) const {
    const auto at = plans_.find(key);
    return at == plans_.end() || !at->second ? nullptr : &*at->second;
  }

  std::unique_ptr<cudnnContext, DestroyHandle> handle_;
  std::uint64_t scratch_, scratch_bytes_ = 0, workspace_bytes_ = 0;
  bool repeatable_;
  std::map<Key, std::optional<GraphPlan>> plans_;  ///< nothing: cuDNN does not take it
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
