#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/problem/block_map.h"

namespace meshattn {
namespace {

/// (query, key) pairs of the busiest rank over the mean, counted from the blocks that the schedule lists.
double balance_of(Partition partition, Tile tile, const Mask& mask = Mask::kCausal) {
  const int n = tile.rows * tile.columns;
  const Problem p{{n * 64L, n * 64L, 1, 1, 1, 4, Dtype::kBf16}, mask, partition, Pass::kForward, n};
  const BlockMap blocks(p);
  const Schedule s = mesh(p, order_tile(tile, p.pass, Order::kNaive, {1, 1, 1, 1, 1}, {}), Dtype::kFp32);
  std::vector<double> pairs(static_cast<std::size_t>(n));
  for (Rank r = 0; r < n; ++r)
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op)
      if (const auto* a = std::get_if<Attend>(&s.ops[op]))
        for (const AttendRow& row : s.rows_of(*a))
          for (ValueId kv : s.columns_of(*a))
            for (Cell i : s.region(row.q).cells)
              for (Cell j : s.region(kv).cells)
                pairs[static_cast<std::size_t>(r)] += static_cast<double>(blocks.of(i, j).pairs);
  return *std::ranges::max_element(pairs) * n / total_pairs(p);
}

/// The mask leaves half of every off-diagonal block of zigzag chunks, and a little more of the diagonal blocks, one per
/// rank: all ranks have equal work.
TEST(PartitionBalance, ZigzagIsEvenForEveryTile) {
  for (int n : {2, 3, 8, 16})
    for (Tile tile : tiles_of(n)) EXPECT_DOUBLE_EQ(balance_of(Partition::kZigzag, tile), 1) << tile.rows;
}

/// The last of n contiguous chunks attends n − 1 full blocks and half its own, the mean is n/2 blocks: the ratio is
/// (2n − 1)/n, 1.94 for 16. With a tile a×b rank n − a has as much work: the last a chunks of queries by chunks 0, a,
/// …, n − a of keys.
TEST(PartitionBalance, ContiguousLoadsTheLastRankTwiceTheMean) {
  EXPECT_NEAR(balance_of(Partition::kContiguous, {1, 16}), 31.0 / 16, 2e-3);
  for (Tile tile : tiles_of(16)) EXPECT_NEAR(balance_of(Partition::kContiguous, tile), 31.0 / 16, 2e-3) << tile.rows;
}

/// The mask leaves half of a striped block, give or take half its diagonal: a ratio within 1 ± 1/64 for 64-token
/// chunks.
TEST(PartitionBalance, StripedIsEvenUpToADiagonal) {
  for (Tile tile : tiles_of(16)) EXPECT_LE(balance_of(Partition::kStriped, tile), 1 + 1.0 / 64) << tile.rows;
}

/// Each document that is a span is a zigzag of its own. Two documents in a span fill the first and the second half of
/// its 2n runs: run r of one and run n−1−r of the other, together equally long for every rank.
TEST(PartitionBalance, DocumentZigzagIsEvenForEqualDocuments) {
  for (int n : {2, 4, 8})
    for (std::int64_t count : {1, 2, 4, 8, 16, 32})
      for (bool causal : {true, false}) {
        const std::int64_t length = n * 64L / count;
        if (count <= 16 && length < 2 * n) continue;  // too short
        const Mask mask{causal, 0, Documents(std::vector<std::int64_t>(static_cast<std::size_t>(count), length))};
        for (Tile tile : tiles_of(n))
          EXPECT_DOUBLE_EQ(balance_of(Partition::kDocumentZigzag, tile, mask), 1) << count << " documents, " << n;
      }
}

}  // namespace
}  // namespace meshattn
