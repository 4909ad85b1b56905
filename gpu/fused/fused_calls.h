#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "gpu/kernels/call.h"

namespace meshattn::gpu {

/// Strides of a matrix of rows, in numbers: between batch items, heads and tokens.
struct MatrixStrides {
  std::int64_t item = 0, head = 0, token = 0;

  friend auto operator<=>(const MatrixStrides&, const MatrixStrides&) = default;
};

[[nodiscard]] MatrixStrides strides_of(const MatrixView& rows);

/// What a fused kernel is planned for: sizes, strides and which ends of the band there are (their places are run-time
/// arguments, but for a causal mask from the corner).
struct FusedKey {
  enum class Bounds : std::uint8_t { kFull, kCausal, kUpper, kLower, kBoth };
  Pass pass = Pass::kForward;
  Dtype dtype = Dtype::kBf16;
  Bounds bounds = Bounds::kFull;
  bool repeatable = false;  ///< backward: dq is not summed up by atomic additions; takes workspace of queries × keys
  std::int64_t items = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, width = 0;
  MatrixStrides q, k, o, lse;  ///< v as k; backward: o is the surrogate
  MatrixStrides d_o, dq, dk;   ///< backward; dv as dk

  friend auto operator<=>(const FusedKey&, const FusedKey&) = default;
};

[[nodiscard]] FusedKey::Bounds bounds_of(const Band& band);

/// Bytes into which a backward kernel that is not repeatable adds up dq; zero when it begins.
[[nodiscard]] std::uint64_t dq_sum_bytes(const FusedKey& key);

/// A kernel that writes over its results, and what comes before and after it. Backward, it makes delta from O itself,
/// and is given another O that has the same.
struct FusedKernel {
  FusedKey key;
  std::optional<SurrogateCall> prologue;  ///< backward
  std::variant<AttendCall, BackwardCall>
      call;                  ///< results in scratch memory, if they are merged or summed up afterwards
  std::uint64_t dq_sum = 0;  ///< backward, unless repeatable: where in the arena
  std::vector<CombineCall> epilogue;
};

/// The kernels of a call.
struct FusedCall {
  std::vector<FusedKernel> kernels;  ///< none if they do not take it
  std::uint64_t scratch_bytes = 0;   ///< that they use
};

/// Of attention with 16-bit inputs of at most 256 numbers, 16-byte aligned. Grouped heads go backward as heads of a
/// batch item each, one kernel an item. `scratch`: where scratch memory begins, bytes into the arena.
[[nodiscard]] FusedCall fused(const Call& call, std::uint64_t scratch, bool repeatable);

}  // namespace meshattn::gpu
