#include "core/problem/partition.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/masks.h"

namespace meshattn {
namespace {

/// For any partition, cuts, documents and prefix every cell has a token and every token is in one cell.
TEST(Partition, EveryTokenIsInExactlyOneCell) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    const Problem p = testing::random_problem(random, 9);
    std::map<std::int64_t, int> queries, keys;
    for (Cell cell = 0; cell < p.cells(); ++cell) {
      const TokenRun q = p.q_run(cell), kv = p.kv_run(cell);
      EXPECT_GE(q.count, 1);
      EXPECT_GE(kv.count, 1);
      EXPECT_EQ(q.stride, kv.stride);
      for (std::int64_t t = 0; t < q.count; ++t) ++queries[q.start + t * q.stride];
      for (std::int64_t t = 0; t < kv.count; ++t) ++keys[kv.start + t * kv.stride];
    }
    const std::int64_t seq_q = p.shape.seq_q, seq_kv = p.shape.seq_kv;
    for (std::int64_t t = 0; t < seq_kv; ++t) {
      EXPECT_EQ(keys[t], 1) << "key " << t;
      EXPECT_EQ(queries[t], t < seq_kv - seq_q ? 0 : 1) << "query " << t;
    }
    EXPECT_EQ(static_cast<std::int64_t>(keys.size()), seq_kv);
    EXPECT_EQ(static_cast<std::int64_t>(queries.size()), seq_kv);
    if (HasFailure()) FAIL() << testing::describe(p);
  }
}

/// 24 tokens on 2 ranks: documents of 8 and 16 tokens are two spans. Contiguous: rank 0 has the first half of both.
/// Zigzag: it has runs 0 and 3 of the 4 runs of both.
TEST(Partition, DocumentsAreDealtEachForItself) {
  const std::vector<std::int64_t> lengths{8, 16};
  Problem p{{24, 24, 1, 1, 1, 1, Dtype::kBf16}, {true, 0, Documents(lengths)}, Partition::kDocumentContiguous};
  p.ranks = 2;
  ASSERT_EQ(p.pieces(), 2);
  const TokenRun in_order[] = {{0, 1, 4}, {8, 1, 8}, {4, 1, 4}, {16, 1, 8}};
  for (Cell cell = 0; cell < p.cells(); ++cell) EXPECT_EQ(p.q_run(cell), in_order[cell]) << cell;
  p.partition = Partition::kDocumentZigzag;
  ASSERT_EQ(p.pieces(), 4);
  const TokenRun expected[] = {{0, 1, 2}, {6, 1, 2}, {8, 1, 4},  {20, 1, 4},
                               {2, 1, 2}, {4, 1, 2}, {12, 1, 4}, {16, 1, 4}};
  for (Cell cell = 0; cell < p.cells(); ++cell) EXPECT_EQ(p.q_run(cell), expected[cell]) << cell;
}

/// The cuts of a piece are consecutive cells. Those of a striped chunk keep its stride.
TEST(Partition, CutsArePartsOfTheirPiece) {
  Problem p{{24, 24, 1, 1, 1, 1, Dtype::kBf16}, Mask::kCausal, Partition::kStriped, Pass::kForward, 2, 3};
  ASSERT_EQ(p.pieces(), 3);
  EXPECT_EQ(p.q_run(0), (TokenRun{0, 2, 4}));
  EXPECT_EQ(p.q_run(1), (TokenRun{8, 2, 4}));
  EXPECT_EQ(p.q_run(4), (TokenRun{9, 2, 4}));
  EXPECT_EQ(p.owner(2), 0);
  EXPECT_EQ(p.owner(3), 1);
}

}  // namespace
}  // namespace meshattn
