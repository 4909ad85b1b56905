#include "gpu/issue/coverage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace meshattn::gpu {
namespace {

using Overlap = Coverage::Overlap;

/// Compares with a table of all rows.
TEST(Coverage, KnowsWhichRowsAreWritten) {
  constexpr std::int32_t kHeads = 3;
  constexpr std::int64_t kTokens = 7;
  std::mt19937 random(1);
  const auto range = [&](auto size) {
    auto a = std::uniform_int_distribution<decltype(size)>(0, size)(random);
    auto b = std::uniform_int_distribution<decltype(size)>(0, size - 1)(random);
    if (b >= a) ++b;
    return std::pair(std::min(a, b), std::max(a, b));
  };
  int seen[3] = {};
  for (int times = 0; times < 300; ++times) {
    Coverage coverage(packed_matrix(0, 2, kHeads, kTokens, 8, Dtype::kFp32));
    std::vector<bool> table(kHeads * kTokens);
    for (int adds = 0; adds < 12; ++adds) {
      const auto [first_head, last_head] = range(kHeads);
      const auto [first, last] = range(kTokens);
      std::size_t rows = 0, written = 0;
      for (std::int32_t h = first_head; h < last_head; ++h)
        for (std::int64_t i = first; i < last; ++i) {
          auto row = table[static_cast<std::size_t>(h * kTokens + i)];
          ++rows;
          written += row ? 1 : 0;
          row = true;
        }
      const Overlap expected = written == 0 ? Overlap::kNone : written == rows ? Overlap::kFull : Overlap::kPartial;
      ASSERT_EQ(coverage.add({first_head, last_head}, {first, last}), expected);
      ASSERT_EQ(coverage.is_complete(), std::ranges::all_of(table, [](bool row) { return row; }));
      ++seen[static_cast<int>(expected)];
    }
  }
  for (int times : seen) EXPECT_GT(times, 100);
}

}  // namespace
}  // namespace meshattn::gpu
