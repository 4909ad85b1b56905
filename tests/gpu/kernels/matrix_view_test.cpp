#include "gpu/kernels/matrix_view.h"

#include <gtest/gtest.h>

#include <set>

namespace meshattn::gpu {
namespace {

std::uint64_t address(const MatrixView& matrix, int item, int head, std::int64_t token) {
  return matrix.offset + static_cast<std::uint64_t>(matrix.row_index(item, head, token)) * matrix.row_bytes();
}

/// The rows of a packed matrix fill its bytes without gaps.
TEST(MatrixView, APackedMatrixHasNoGaps) {
  const MatrixView matrix = packed_matrix(512, 2, 3, 5, 8, Dtype::kBf16);
  std::set<std::uint64_t> addresses;
  for (int item = 0; item < 2; ++item)
    for (int head = 0; head < 3; ++head)
      for (std::int64_t token = 0; token < 5; ++token) addresses.insert(address(matrix, item, head, token));
  ASSERT_EQ(addresses.size(), 2u * 3 * 5);
  EXPECT_EQ(matrix.row_count(), 2 * 3 * 5);
  EXPECT_EQ(*addresses.begin(), 512u);
  EXPECT_EQ(*addresses.rbegin(), 512u + (2 * 3 * 5 - 1) * 8 * 2);
}

/// A part has the rows of the whole: item 1, heads 1 to 2, tokens 2 to 4.
TEST(MatrixView, APartHasTheRowsOfTheWhole) {
  const MatrixView whole = packed_matrix(512, 2, 3, 5, 8, Dtype::kFp32);
  const MatrixView part = whole.batch_item(1).head_range(1, 2).token_range(2, 3);
  EXPECT_EQ(part.row_count(), 2 * 3);
  for (int head = 0; head < part.heads; ++head)
    for (std::int64_t token = 0; token < part.tokens; ++token)
      EXPECT_EQ(address(part, 0, head, token), address(whole, 1, head + 1, token + 2));
}

}  // namespace
}  // namespace meshattn::gpu
