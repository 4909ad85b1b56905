#include "core/schedule/passes/assign_memory.h"

#include <gtest/gtest.h>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/schedule/passes/arena.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/passes/verify.h"

namespace meshattn {
namespace {

Problem problem_of(int ranks, Pass pass, Mask mask = Mask::kFull, Partition partition = Partition::kContiguous) {
  return {{ranks * 64L, ranks * 64L, 1, 8, 4, 16, Dtype::kBf16}, mask, partition, pass, ranks};
}

TEST(Arena, PrefersTheGapOfThatSizeThatIsFreeLongest) {
  Arena arena;
  std::vector<ValueId> previous;
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(arena.allocate(256, previous), i * 256);
  EXPECT_TRUE(previous.empty());
  arena.release(512, 256, 2);
  arena.release(0, 256, 0);
  EXPECT_EQ(arena.allocate(256, previous), 512u);
  EXPECT_EQ(previous, (std::vector<ValueId>{2}));
}

TEST(Arena, JoinsGapsAndSplitsThem) {
  Arena arena;
  std::vector<ValueId> previous;
  for (int i = 0; i < 4; ++i) arena.allocate(200, previous);  // 256 bytes each
  arena.release(256, 200, 1);
  arena.release(512, 200, 2);
  EXPECT_EQ(arena.allocate(300, previous), 256u);  // 512 bytes: both gaps
  EXPECT_EQ(previous, (std::vector<ValueId>{1, 2}));
  arena.release(256, 300, 4);
  previous.clear();
  EXPECT_EQ(arena.allocate(10, previous), 256u);
  EXPECT_EQ(arena.allocate(10, previous), 512u);  // the rest of what value 4 left
  EXPECT_EQ(previous, (std::vector<ValueId>{4, 4}));
  EXPECT_EQ(arena.size(), 1024u);
}

TEST(Arena, TakesTheSmallestGapThatFits) {
  Arena arena;
  std::vector<ValueId> previous;
  for (std::uint64_t bytes : {1024, 256, 512, 256}) arena.allocate(bytes, previous);
  arena.release(0, 1024, 0);
  arena.release(1280, 512, 2);
  EXPECT_EQ(arena.allocate(300, previous), 1280u);
}

TEST(Arena, LeavesAGapThatIsNotFreeYet) {
  Arena arena;
  std::vector<ValueId> previous;
  for (int i = 0; i < 3; ++i) arena.allocate(256, previous);
  arena.release(0, 256, 0, 2.0);
  arena.release(256, 256, 1, 1.0);
  EXPECT_EQ(arena.allocate(256, previous, 1.0), 256u);
  EXPECT_EQ(arena.allocate(256, previous, 1.5), 768u);  // value 0 is used until 2
  EXPECT_EQ(arena.allocate(256, previous, 2.0), 0u);
}

TEST(Arena, GrowsFromAGapAtTheEnd) {
  Arena arena;
  std::vector<ValueId> previous;
  arena.allocate(256, previous);
  arena.allocate(256, previous);
  arena.release(256, 256, 1);
  EXPECT_EQ(arena.allocate(1024, previous), 256u);
  EXPECT_EQ(arena.size(), 1280u);
}

/// A ring rank holds its Q and KV, the fp32 sum of O, and two received KV: one that is attended and one that arrives. A
/// chunk has 64 tokens: Q 64·8·16·2 B = 16 KiB, KV 64·4·16·2·2 B = 16 KiB, the sum 64·8·(16·4 + 4) B = 34 KiB: that is
/// 16 + 16 + 34 + 2·16 = 98 KiB, however many ranks. The output, 64·8·(16·2 + 4) B = 18 KiB, comes when all KV is dead
/// and takes the place of the last received KV, at the end of the arena, 2 KiB longer.
TEST(Liveness, ARingHoldsTwoReceivedChunks) {
  for (int ranks : {4, 8, 32})
    for (double block : {0.1, 1.0, 10.0}) {
      const Problem p = problem_of(ranks, Pass::kForward);
      const TileCosts costs{0, 1, 0, 0, block};
      Schedule s = mesh(p, order_tile({1, ranks}, p.pass, Order::kGreedy, costs, {}), Dtype::kFp32);
      assign_memory(s);
      EXPECT_EQ(s.peak_bytes, 100u << 10) << ranks << " ranks, block " << block;
      EXPECT_FALSE(s.waits.empty());
    }
}

TEST(Liveness, EverySchedulesMemoryIsProved) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Mask mask : {Mask::kFull, Mask::kCausal})
      for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
        for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal})
          for (int ranks : {1, 2, 6, 12})
            for (Tile tile : tiles_of(ranks)) {
              const Problem p = problem_of(ranks, pass, mask, partition);
              const TileCosts costs{1, 2, 2, 2, 0.7};
              for (Dtype wire : {Dtype::kBf16, Dtype::kFp32}) {
                Schedule s = prune(mesh(p, order_tile(tile, pass, order, costs, {}), wire));
                assign_memory(s);
                const std::vector<Finding> findings = verify(s);
                ASSERT_TRUE(findings.empty())
                    << name_of(pass) << ' ' << name_of(mask) << ' ' << name_of(partition) << ' ' << name_of(order)
                    << ' ' << tile.rows << 'x' << tile.columns << ": " << findings.front().what;
              }
            }
}

}  // namespace
}  // namespace meshattn
