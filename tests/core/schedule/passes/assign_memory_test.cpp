#include "core/schedule/passes/assign_memory.h"

#include <gtest/gtest.h>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/passes/verify.h"

namespace meshattn {
namespace {

Problem problem_of(int ranks, Pass pass, Mask mask = Mask::kFull, Partition partition = Partition::kContiguous) {
  return {{ranks * 64L, ranks * 64L, 1, 8, 4, 16, Dtype::kBf16}, mask, partition, pass, ranks};
}

/// A ring rank holds its Q and KV, the fp32 accumulator of O, and two received KV: one that is attended and one that
/// arrives. A chunk has 64 tokens: Q 64·8·16·2 B = 16 KiB, KV 64·4·16·2·2 B = 16 KiB, the accumulator
/// 64·8·(16·4 + 4) B = 34 KiB. That is 16 + 16 + 34 + 2·16 = 98 KiB for any number of ranks. The output,
/// 64·8·(16·2 + 4) B = 18 KiB, is made when no KV is needed any more. It takes the bytes of the last received KV, at
/// the end of the arena, and 2 KiB more.
TEST(AssignMemory, ARingHoldsTwoReceivedChunks) {
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

TEST(AssignMemory, IsProvedForEverySchedule) {
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
