#include "gpu/fused/fused_calls.h"

#include <algorithm>

#include "core/schedule/passes/arena.h"

namespace meshattn::gpu {

namespace {

/// Allocates scratch memory, one allocation after the other.
class Scratch {
 public:
  explicit Scratch(std::uint64_t begin) : begin_(begin), end_(begin) {}

  std::uint64_t bytes(std::uint64_t count) {
    const std::uint64_t at = end_;
    end_ += Arena::aligned(count);
    return at;
  }
  /// A matrix of the same shape in another dtype.
  MatrixView like(const MatrixView& rows, Dtype dtype) {
    const std::uint64_t numbers = static_cast<std::uint64_t>(rows.row_count()) * static_cast<std::uint64_t>(rows.width);
    return packed_matrix(bytes(numbers * (dtype == Dtype::kFp32 ? 4 : 2)), rows.items, rows.heads, rows.tokens,
                         rows.width, dtype);
  }
  [[nodiscard]] std::uint64_t used() const { return end_ - begin_; }

 private:
  std::uint64_t begin_, end_;
};

/// Turns each group of query heads that share a key/value head into a batch item.
MatrixView folded(const MatrixView& rows, std::int32_t group) {
  return {rows.offset, group * rows.head_stride, rows.head_stride, rows.heads / group, group, rows.tokens, rows.width,
          rows.dtype};
}

/// Repeats each key/value head for all query heads of its group, with stride 0.
MatrixView shared_by(const MatrixView& rows, std::int32_t group) {
  return {rows.offset, rows.head_stride, 0, rows.heads, group, rows.tokens, rows.width, rows.dtype};
}

/// The h-th head of every batch item, as the heads of one item.
MatrixView head_of_items(const MatrixView& rows, std::int32_t h) {
  return {rows.offset + static_cast<std::uint64_t>(h * rows.head_stride) * rows.row_bytes(),
          0,
          rows.item_stride,
          1,
          rows.items,
          rows.tokens,
          rows.width,
          rows.dtype};
}

FusedKey key_of(Pass pass, const MatrixView& q, const MatrixView& k, const Band& band) {
  FusedKey key;
  key.pass = pass;
  key.dtype = q.dtype;
  key.bounds = bounds_of(band);
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

/// Sums the parts that a kernel left in scratch memory: the heads of a group, and the accumulator if it is added to.
CombineCall sum_of(const MatrixView& sum, bool adds, const MatrixView& parts, bool of_group) {
  CombineCall call{{}, sum, {}};
  if (adds) call.summands.push_back({sum, {}});
  if (of_group)
    for (std::int32_t h = 0; h < parts.heads; ++h) call.summands.push_back({head_of_items(parts, h), {}});
  else
    call.summands.push_back({parts, {}});
  return call;
}

/// Whether fused kernels support this dtype and head dim.
bool is_supported(const MatrixView& q) { return q.dtype != Dtype::kFp32 && q.width % 8 == 0 && q.width <= 256; }

FusedKernel forward(const AttendCall& call, Scratch& scratch) {
  FusedKernel f{key_of(Pass::kForward, call.q, call.k, call.band), {}, call, 0, {}};
  auto& kernel = std::get<AttendCall>(f.call);
  if (call.merge) {
    kernel.o = scratch.like(call.o, Dtype::kFp32);
    kernel.lse = scratch.like(call.lse, Dtype::kFp32);
    kernel.merge = false;
    f.epilogue.push_back({{{call.o, call.lse}, {kernel.o, kernel.lse}}, call.o, call.lse});
  }
  f.key.o = strides_of(kernel.o);
  f.key.lse = strides_of(kernel.lse);
  return f;
}

/// @param dk, dv the accumulators, with one head for each group
FusedKernel backward(const BackwardCall& call, bool repeatable, bool of_group, const MatrixView& dk,
                     const MatrixView& dv, Scratch& scratch) {
  FusedKernel b{{}, SurrogateCall{call.d_o, call.delta, scratch.like(call.q, call.q.dtype)}, call, 0, {}};
  auto& kernel = std::get<BackwardCall>(b.call);
  kernel.add_dq = kernel.add_dkv = false;
  if (call.add_dq) {
    kernel.dq = scratch.like(call.dq, Dtype::kFp32);
    b.epilogue.push_back(sum_of(call.dq, true, kernel.dq, false));
  }
  if (call.add_dkv || of_group) {
    kernel.dk = scratch.like(call.dk, Dtype::kFp32);
    kernel.dv = scratch.like(call.dv, Dtype::kFp32);
    b.epilogue.push_back(sum_of(dk, call.add_dkv, kernel.dk, of_group));
    b.epilogue.push_back(sum_of(dv, call.add_dkv, kernel.dv, of_group));
  }
  b.key = key_of(Pass::kBackward, kernel.q, kernel.k, call.band);
  b.key.repeatable = repeatable;
  b.key.d_o = strides_of(kernel.d_o);
  b.key.o = strides_of(b.prologue->made);
  b.key.lse = strides_of(kernel.lse);
  b.key.dq = strides_of(kernel.dq);
  b.key.dk = strides_of(kernel.dk);
  if (!repeatable) b.dq_sum = scratch.bytes(dq_sum_bytes(b.key));
  return b;
}

/// One kernel for all batch items, or one for each item if heads are grouped.
FusedCall backward(const BackwardCall& whole, std::uint64_t scratch_begin, bool repeatable) {
  const std::int32_t group = whole.q.heads / whole.k.heads;
  FusedCall made;
  for (std::int32_t item = 0; item < (group > 1 ? whole.q.items : 1); ++item) {
    Scratch scratch(scratch_begin);
    if (group == 1) {
      made.kernels.push_back(backward(whole, repeatable, false, whole.dk, whole.dv, scratch));
    } else {
      BackwardCall call = whole;
      for (MatrixView* rows : {&call.q, &call.d_o, &call.lse, &call.delta, &call.dq})
        *rows = folded(rows->batch_item(item), group);
      for (MatrixView* rows : {&call.k, &call.v, &call.dk, &call.dv}) *rows = shared_by(rows->batch_item(item), group);
      made.kernels.push_back(
          backward(call, repeatable, true, whole.dk.batch_item(item), whole.dv.batch_item(item), scratch));
    }
    made.scratch_bytes = std::max(made.scratch_bytes, scratch.used());
  }
  return made;
}

}  // namespace

MatrixStrides strides_of(const MatrixView& rows) {
  return {rows.item_stride * rows.width, rows.head_stride * rows.width, rows.width};
}

FusedKey::Bounds bounds_of(const Band& band) {
  using Bounds = FusedKey::Bounds;
  if (band.is_full()) return Bounds::kFull;
  if (band.lower != -Band::kUnbounded) return band.upper == Band::kUnbounded ? Bounds::kLower : Bounds::kBoth;
  return band.upper == 0 ? Bounds::kCausal : Bounds::kUpper;
}

std::uint64_t dq_sum_bytes(const FusedKey& key) {
  // cuDNN reorders the sum in blocks of 128 rows and 16 numbers.
  const std::int64_t rows = (key.queries + 127) / 128 * 128, width = (key.width + 15) / 16 * 16;
  return static_cast<std::uint64_t>(key.items * key.heads * rows * width) * sizeof(float);
}

FusedCall fused(const Call& call, std::uint64_t scratch_begin, bool repeatable) {
  if (const auto* attend = std::get_if<AttendCall>(&call); attend != nullptr && is_supported(attend->q)) {
    Scratch scratch(scratch_begin);
    FusedKernel kernel = forward(*attend, scratch);
    return {{std::move(kernel)}, scratch.used()};
  }
  if (const auto* whole = std::get_if<BackwardCall>(&call); whole != nullptr && is_supported(whole->q))
    return backward(*whole, scratch_begin, repeatable);
  return {};
}

}  // namespace meshattn::gpu
