#include "core/schedule/passes/prune.h"

#include <gtest/gtest.h>

#include "core/algorithms/tile.h"
#include "core/schedule/passes/needed_cells.h"
#include "core/schedule/text.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using testing::simple_plan;
using testing::small_problem;

/// Calls visit(schedule) for unpruned tiles of 4 and 6 ranks under masks that empty some blocks.
template <typename Visit>
void for_each_masked(Visit&& visit) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (const Mask& mask : {Mask::kCausal, Mask{true, 3, {}}})
      for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
        for (int ranks : {4, 6})
          for (Tile tile : tiles_of(ranks))
            visit(mesh(small_problem(ranks, pass, mask, partition), simple_plan(tile, pass), Dtype::kFp32));
}

TEST(Prune, ChangesNothingUnderTheFullMask) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Schedule s = mesh(small_problem(6, pass), simple_plan({3, 2}, pass), Dtype::kFp32);
    EXPECT_EQ(write_text(prune(s)), write_text(s));
  }
}

TEST(Prune, OfAPrunedScheduleChangesNothing) {
  int changed = 0;
  for_each_masked([&](const Schedule& s) {
    const Schedule pruned = prune(s);
    EXPECT_EQ(write_text(prune(pruned)), write_text(pruned));
    changed += write_text(pruned) != write_text(s);
  });
  EXPECT_GT(changed, 20);
}

TEST(Prune, LeavesOnlyNeededCells) {
  for_each_masked([&](const Schedule& s) {
    const Schedule pruned = prune(s);
    const NeededCells needed(pruned);
    for (ValueId v = 0; v < pruned.values.size(); ++v)
      EXPECT_TRUE(std::ranges::equal(needed.cells_of(v), pruned.region(v).cells)) << "value " << v;
  });
}

/// A contiguous causal ring of four: rank r attends the keys of ranks 0 … r. Keys travel from rank to rank + 1 and stop
/// where no rank further on attends them: chunk c makes 3 − c hops, 6 in all; without a mask there are 12.
TEST(Prune, ACausalRingSendsKeysOnlyToLaterRanks) {
  const Schedule s =
      mesh(small_problem(4, Pass::kForward, Mask::kCausal), simple_plan({1, 4}, Pass::kForward), Dtype::kFp32);
  const Schedule pruned = prune(s);
  EXPECT_EQ(s.transfers.size(), 12u);
  EXPECT_EQ(pruned.transfers.size(), 6u);
  for (const Transfer& t : pruned.transfers) {
    const Cell chunk = pruned.region(t.made).cells.front();
    EXPECT_LT(chunk, static_cast<Cell>(pruned.values[t.made].rank));
  }
}

}  // namespace
}  // namespace meshattn
