#pragma once

#include <cstdint>

namespace meshattn::gpu {

/// The keys that the queries of a block see: query i sees key j if i + lower ≤ j ≤ i + upper. Indices are within the
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
