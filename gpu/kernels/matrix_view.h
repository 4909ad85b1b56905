#pragma once

#include <cstddef>
#include <cstdint>

#include "core/problem/attention.h"

namespace meshattn::gpu {

/// The longest row that kernels support, in numbers.
inline constexpr int kMaxWidth = 512;

/// One matrix of a value in an arena, or a range of its heads and tokens. A row belongs to a batch item, a head and a
/// token; the tokens of a head are contiguous.
struct MatrixView {
  std::uint64_t offset = 0;      ///< of the first row, bytes
  std::int64_t item_stride = 0;  ///< rows from a batch item to the next
  std::int64_t head_stride = 0;  ///< rows from a head to the next
  std::int32_t items = 0;
  std::int32_t heads = 0;
  std::int64_t tokens = 0;
  std::int32_t width = 0;  ///< numbers in a row: head_dim, or 1 (log-sum-exp, delta)
  Dtype dtype = Dtype::kFp32;

  [[nodiscard]] constexpr int bytes_of_number() const { return dtype == Dtype::kFp32 ? 4 : 2; }
  /// The distance from the first row, in rows.
  [[nodiscard]] constexpr std::int64_t row_index(int item, int head, std::int64_t token) const {
    return item * item_stride + head * head_stride + token;
  }
  [[nodiscard]] constexpr std::int64_t row_count() const { return static_cast<std::int64_t>(items) * heads * tokens; }
  [[nodiscard]] constexpr std::uint64_t row_bytes() const {
    return static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(bytes_of_number());
  }
  [[nodiscard]] constexpr MatrixView token_range(std::int64_t first, std::int64_t count) const {
    MatrixView part = *this;
    part.offset += static_cast<std::uint64_t>(first) * row_bytes();
    part.tokens = count;
    return part;
  }
  [[nodiscard]] constexpr MatrixView head_range(std::int32_t first, std::int32_t count) const {
    MatrixView part = *this;
    part.offset += static_cast<std::uint64_t>(row_index(0, first, 0)) * row_bytes();
    part.heads = count;
    return part;
  }

  [[nodiscard]] constexpr MatrixView batch_item(std::int32_t item) const {
    MatrixView part = *this;
    part.offset += static_cast<std::uint64_t>(row_index(item, 0, 0)) * row_bytes();
    part.items = 1;
    return part;
  }

  friend bool operator==(const MatrixView&, const MatrixView&) = default;
};

/// A matrix without gaps between heads and batch items.
[[nodiscard]] constexpr MatrixView packed_matrix(std::uint64_t offset, std::int32_t items, std::int32_t heads,
                                                 std::int64_t tokens, std::int32_t width, Dtype dtype) {
  return {offset, heads * tokens, tokens, items, heads, tokens, width, dtype};
}

}  // namespace meshattn::gpu
