#include "core/report/waits.h"

#include <gtest/gtest.h>

#include "tests/core/report/ring_of_two.h"

namespace meshattn {
namespace {

using testing::kTrace;
using testing::ring_of_two;
using testing::summary_of;
using testing::trace_of;
using testing::two_gpus;

TEST(Waits, NamesTheCausesOfIdleTime) {
  // For KV: rank 0 from 2 to 5, rank 1 from 1 to 5. For the end of rank 1: rank 0 from 7 to 8. For its own start: rank
  // 1 from 5 to 6.
  const Summary s = summary_of(ring_of_two(), kTrace);
  ASSERT_EQ(s.waits.size(), 3u);
  EXPECT_EQ(s.waits[0].what, "KV");
  EXPECT_DOUBLE_EQ(s.waits[0].seconds, 3.5);
  EXPECT_DOUBLE_EQ(s.waits[0].share, 7.0 / 9);
  EXPECT_EQ(s.waits[1].what, "end");
  EXPECT_DOUBLE_EQ(s.waits[1].seconds, 0.5);
  EXPECT_EQ(s.waits[2].what, "start");
}

TEST(Waits, TellsMemoryFromData) {
  // Rank 0's own block reads nothing of the exchange, but has a reuse wait for it: 0 to 5 is for memory.
  Schedule schedule = ring_of_two();
  std::swap(schedule.ops[0], schedule.ops[1]);  // a reuse wait is for an earlier op
  schedule.waits = {{1, 0}};
  const Summary s = summary_of(schedule, trace_of({{0, 5}, {5, 7}, {7, 8}, {0, 1}, {0, 5}, {6, 8}}));
  ASSERT_EQ(s.waits.size(), 3u);
  EXPECT_EQ(s.waits[0].what, "memory");
  EXPECT_EQ(s.waits[1].what, "KV");  // rank 1: from 1 to 5; then its own start, to 6
  EXPECT_DOUBLE_EQ(s.waits[0].seconds, 2.5);
  EXPECT_DOUBLE_EQ(s.waits[1].seconds, 2);
}

/// As on a measured device: an op does not start at once when its operands have arrived.
TEST(Waits, OpThatCouldRunWaitsForItsStart) {
  // Rank 0: its first block starts at 1; its second waits for KV from 2 to 3 and then for its own start to 5. Rank 1:
  // KV arrived at 3, before its first block ended at 4; 4 to 6 is its own start.
  const Summary s = summary_of(ring_of_two(), trace_of({{1, 2}, {0, 3}, {5, 8}, {0, 4}, {0, 3}, {6, 8}}));
  ASSERT_EQ(s.waits.size(), 2u);
  EXPECT_EQ(s.waits[0].what, "start");
  EXPECT_DOUBLE_EQ(s.waits[0].seconds, (1 + 2 + 2) / 2.0);
  EXPECT_EQ(s.waits[1].what, "KV");
  EXPECT_DOUBLE_EQ(s.waits[1].seconds, 1 / 2.0);
}

/// Hosts that take 10 s per op: in the 20 s only the two kernels' own times are compute.
TEST(Waits, LateHostsAreNoCompute) {
  Cluster c = two_gpus();
  c.gpu.framework.host_s = 10;
  const Schedule schedule = ring_of_two();
  const CostModel cost(c.gpu, schedule.problem);
  const Trace trace = trace_of({{0, 10}, {0, 2}, {10, 20}, {0, 10}, {0, 2}, {10, 20}});
  const Summary s = summarise(schedule, Network(c, 2), cost, cost.times(schedule), trace, {});
  const std::vector<double> seconds = cost.times(schedule).seconds;
  EXPECT_DOUBLE_EQ(s.compute_s, seconds[0] + seconds[2]);
  EXPECT_NEAR(s.waiting, 1 - s.compute_s / 20, 1e-12);
  ASSERT_EQ(s.waits.size(), 1u);
  EXPECT_EQ(s.waits[0].what, "start");
  EXPECT_NEAR(s.waits[0].seconds, 20 - s.compute_s, 1e-12);
}

TEST(Waits, AddUpToAllIdleTime) {
  for (double late : {0.0, 0.5, 3.0}) {
    const Summary s =
        summary_of(ring_of_two(), trace_of({{late, 2 + late}, {0, 5}, {6, 7 + late}, {0, 1}, {0, 5}, {6, 8}}));
    double waited = 0, share = 0;
    for (const Wait& w : s.waits) waited += w.seconds, share += w.share;
    EXPECT_NEAR(waited, s.waiting * s.makespan_s, 1e-12);
    EXPECT_NEAR(share, 1, 1e-12);
  }
}

}  // namespace
}  // namespace meshattn
