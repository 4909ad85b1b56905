#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// Strides of a matrix between batch items, heads and tokens, in numbers.
struct MatrixStrides {
  std::int64_t item = 0, head = 0, token = 0;

  friend auto operator<=>(const MatrixStrides&, const MatrixStrides&) = default;
};

[[nodiscard]] MatrixStrides strides_of(const MatrixView& rows);

/// The properties that select the plan of a fused kernel: sizes, strides and the ends that its band has. The positions
/// of the ends are run-time arguments, except for kCausal.
struct FusedKey {
  /// The ends that a band has. kCausal is an upper end at 0 without a lower one.
  enum class Bounds : std::uint8_t { kFull, kCausal, kUpper, kLower, kBoth };
  Pass pass = Pass::kForward;
  Dtype dtype = Dtype::kBf16;
  Bounds bounds = Bounds::kFull;
  bool repeatable = false;  ///< backward: dq is summed without atomic additions, in workspace of queries × keys
  std::int64_t items = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, width = 0;
  MatrixStrides q, k, o, lse;  ///< v has those of k; backward: o is the surrogate
  MatrixStrides d_o, dq, dk;   ///< backward; dv has those of dk

  friend auto operator<=>(const FusedKey&, const FusedKey&) = default;
};

[[nodiscard]] FusedKey::Bounds bounds_of(const Band& band);

/// Bytes in which a backward kernel that is not repeatable sums dq. They must be zero when it begins.
[[nodiscard]] std::uint64_t dq_sum_bytes(const FusedKey& key);

/// A fused kernel, which overwrites its results, with the calls before and after it. A backward kernel computes delta
/// from O itself, and gets a surrogate O with the right delta.
struct FusedKernel {
  FusedKey key;
  std::optional<SurrogateCall> prologue;        ///< backward
  std::variant<AttendCall, BackwardCall> call;  ///< its results are in scratch memory if the epilogue combines them
  std::uint64_t dq_sum = 0;                     ///< backward, unless repeatable: offset of the sum of dq in the arena
  std::vector<CombineCall> epilogue;
};

/// The kernels of a call.
struct FusedCall {
  std::vector<FusedKernel> kernels;  ///< empty if fused kernels do not support it
  std::uint64_t scratch_bytes = 0;   ///< of scratch memory that the kernels use
};

/// The fused kernels of attention with 16-bit inputs and rows of at most 256 numbers, 16-byte aligned. In backward each
/// group of heads becomes a batch item, with one kernel for each item of the call.
/// @param scratch the offset of scratch memory in the arena, bytes
[[nodiscard]] FusedCall fused(const Call& call, std::uint64_t scratch, bool repeatable);

}  // namespace meshattn::gpu
