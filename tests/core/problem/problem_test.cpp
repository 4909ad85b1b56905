#include "core/problem/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/base/error.h"
#include "tests/support/masks.h"

namespace meshattn::testing {
namespace {

TEST(Problem, EveryRankOwnsAsManyConsecutiveCells) {
  std::mt19937 random(2);
  for (int i = 0; i < 200; ++i) {
    const Problem p = random_problem(random, 9);
    EXPECT_EQ(p.cells(), static_cast<Cell>(p.ranks * p.pieces()));
    for (Cell cell = 0; cell < p.cells(); ++cell) EXPECT_EQ(p.owner(cell), static_cast<Rank>(cell) / p.pieces());
  }
}

/// The chunk is the unit of volumes: all ranks together own Q.
TEST(Problem, ChunksAddUpToQ) {
  const Problem p{{1000, 1000, 2, 8, 4, 64, Dtype::kBf16}, Mask::kFull, Partition::kZigzag, Pass::kForward, 3};
  EXPECT_DOUBLE_EQ(chunk_bytes(p) * p.ranks, 1000.0 * 2 * 8 * 64 * 2);
  EXPECT_THAT(all_ranks(3), ::testing::ElementsAre(0, 1, 2));
}

TEST(Problem, EveryCellNeedsAToken) {
  Problem p{{16, 16, 1, 1, 1, 1, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, Pass::kForward, 8};
  EXPECT_NO_THROW(check(p));
  p.ranks = 9;
  EXPECT_THROW(check(p), InvalidInput);  // 18 pieces
  p.ranks = 4;
  p.cuts = 2;
  EXPECT_NO_THROW(check(p));
  p.cuts = 3;
  EXPECT_THROW(check(p), InvalidInput);  // 24 pieces
  p.cuts = 0;
  EXPECT_THROW(check(p), InvalidInput);
}

}  // namespace
}  // namespace meshattn::testing
