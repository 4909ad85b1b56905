#include "core/problem/block_map.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/masks.h"

namespace meshattn::testing {
namespace {

TEST(BlockMap, HasTheBlocksOfTheProblem) {
  std::mt19937 random(5);
  for (int i = 0; i < 500; ++i) {
    const Problem p = random_problem(random, 6);
    const BlockMap blocks(p);
    for (Cell q = 0; q < p.cells(); ++q)
      for (Cell kv = 0; kv < p.cells(); ++kv) {
        EXPECT_EQ(blocks.of(q, kv), p.block(q, kv));
        EXPECT_EQ(blocks.any(q, kv), p.block(q, kv).pairs > 0);
      }
    if (::testing::Test::HasFailure()) FAIL() << describe(p);
  }
}

}  // namespace
}  // namespace meshattn::testing
