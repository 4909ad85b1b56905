#include "core/schedule/dependencies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The definition, word for word: searches the whole list for each op.
std::set<OpId> by_definition(const Schedule& s, Rank rank, OpId op) {
  std::set<ValueId> read;
  for_each_operand(
      s, s.ops[op], rank, [&](ValueId v) { read.insert(v); }, [](ValueId) {});
  std::map<Lane, OpId> last;
  for (OpId before = s.ops_begin(rank); before < op; ++before) {
    bool waits = false;
    for_each_operand(
        s, s.ops[before], rank, [](ValueId) {}, [&](ValueId v) { waits |= read.contains(v); });
    for (const ReuseWait& w : s.waits) waits |= w.op == op && w.after == before;
    if (waits && s.lane(s.ops[before]) != s.lane(s.ops[op])) last[s.lane(s.ops[before])] = before;
  }
  std::set<OpId> ops;
  for (const auto& [lane, before] : last) ops.insert(before);
  return ops;
}

TEST(Dependencies, AreTheLastMakersAndReuseWaitsOfOtherLanes) {
  std::mt19937 random(3);
  for (Tile tile : {Tile{1, 5}, Tile{2, 2}, Tile{3, 2}, Tile{2, 3}, Tile{4, 1}})
    for (Pass pass : {Pass::kForward, Pass::kBackward})
      for (bool two_lanes : {false, true}) {
        const Problem p = testing::small_problem(tile.rows * tile.columns, pass, Mask::kCausal, Partition::kZigzag);
        Schedule s = prune(mesh(p, testing::random_plan(tile, pass, random), Dtype::kBf16));
        if (two_lanes)
          for (Transfer& t : s.transfers) t.lane = on_kv_side(s.values[t.made].tensor) ? 2 : 1;
        assign_memory(s);
        const Dependencies dependencies(s);
        for (Rank rank = 0; rank < p.ranks; ++rank)
          for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
            const auto given = dependencies.of(op);
            EXPECT_EQ(std::set<OpId>(given.begin(), given.end()), by_definition(s, rank, op));
            EXPECT_LE(given.size(), two_lanes ? 2u : 1u);
          }
      }
}

/// A forward ring of three, block by block. The ops of rank 0: 0 and 1 exchanges, 2 own block, 3 block of the first
/// hop, 4 block of the second, 5 cast of the accumulator. Exchange 1 sends the value that exchange 0 received: the same
/// lane, so not listed.
TEST(Dependencies, OfAnUnlimitedRing) {
  OrderedTile plan{{1, 3}, Pass::kForward, {Hop::kColumnIn, Hop::kColumnIn}};
  for (int column = 0; column < 3; ++column) plan.steps.push_back(Rectangle{0, 1, column, column + 1});
  const Schedule s = mesh(testing::small_problem(3, Pass::kForward), plan, Dtype::kFp32);
  const Dependencies d(s);
  for (OpId op : {0u, 1u, 2u, 5u}) EXPECT_THAT(d.of(op), IsEmpty()) << op;
  EXPECT_THAT(d.of(3), ElementsAre(0u));
  EXPECT_THAT(d.of(4), ElementsAre(1u));
}

}  // namespace
}  // namespace meshattn
