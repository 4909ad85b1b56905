#pragma once

#include <cstddef>
#include <cstdint>

#include "core/problem/attention.h"

namespace meshattn::gpu {

/// The longest row that kernels take.
inline constexpr int kMaxWidth = 512;

/// Rows of one matrix of a value, or of some of its heads and tokens, where they lie in an arena. Token follows token.
struct Rows {
  std::uint64_t offset = 0;      ///< of the first row, bytes
  std::int64_t item_stride = 0;  ///< rows from a batch item to the next
  std::int64_t head_stride = 0;  ///< rows from a head to the next
  std::int32_t items = 0;
  std::int32_t heads = 0;
  std::int64_t tokens = 0;
  std::int32_t width = 0;  ///< numbers in a row: head_dim, or 1 (log-sum-exp, delta)
  Dtype dtype = Dtype::kFp32;

  [[nodiscard]] constexpr int bytes_of_number() const { return dtype == Dtype::kFp32 ? 4 : 2; }
  /// Row of a token, a head and a batch item, counted from the first.
  [[nodiscard]] constexpr std::int64_t row(int item, int head, std::int64_t token) const {
    return item * item_stride + head * head_stride + token;
  }
  [[nodiscard]] constexpr std::int64_t count() const { return static_cast<std::int64_t>(items) * heads * tokens; }
  [[nodiscard]] constexpr std::uint64_t row_bytes() const {
    return static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(bytes_of_number());
  }
  [[nodiscard]] constexpr Rows of_tokens(std::int64_t first, std::int64_t how_many) const {
    Rows part = *this;
    part.offset += static_cast<std::uint64_t>(first) * row_bytes();
    part.tokens = how_many;
    return part;
  }
  [[nodiscard]] constexpr Rows of_heads(std::int32_t first, std::int32_t how_many) const {
    Rows part = *this;
    part.offset += static_cast<std::uint64_t>(row(0, first, 0)) * row_bytes();
    part.heads = how_many;
    return part;
  }

  [[nodiscard]] constexpr Rows of_item(std::int32_t item) const {
    Rows part = *this;
    part.offset += static_cast<std::uint64_t>(row(item, 0, 0)) * row_bytes();
    part.items = 1;
    return part;
  }

  friend bool operator==(const Rows&, const Rows&) = default;
};

/// Rows one after the other.
[[nodiscard]] constexpr Rows packed_rows(std::uint64_t offset, std::int32_t items, std::int32_t heads,
                                         std::int64_t tokens, std::int32_t width, Dtype dtype) {
  return {offset, heads * tokens, tokens, items, heads, tokens, width, dtype};
}

/// Which keys a query of a block sees: the query with index i those with index i + lower ≤ j ≤ i + upper, within the
/// block.
struct Band {
  static constexpr std::int64_t kUnbounded = std::int64_t{1} << 40;

  std::int64_t lower = -kUnbounded;
  std::int64_t upper = kUnbounded;

  [[nodiscard]] constexpr bool is_full() const { return lower == -kUnbounded && upper == kUnbounded; }
  [[nodiscard]] constexpr std::int64_t keys_begin(std::int64_t i) const { return i + lower > 0 ? i + lower : 0; }
  [[nodiscard]] constexpr std::int64_t keys_end(std::int64_t i, std::int64_t keys) const {
    return i + upper + 1 < keys ? i + upper + 1 : keys;
  }
  [[nodiscard]] constexpr std::int64_t queries_begin(std::int64_t j) const { return j - upper > 0 ? j - upper : 0; }
  [[nodiscard]] constexpr std::int64_t queries_end(std::int64_t j, std::int64_t queries) const {
    return j - lower + 1 < queries ? j - lower + 1 : queries;
  }

  friend bool operator==(const Band&, const Band&) = default;
};

}  // namespace meshattn::gpu
