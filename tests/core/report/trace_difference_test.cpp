#include "core/report/trace_difference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/execution/estimate.h"
#include "core/planner/plan.h"
#include "core/schedule/dependencies.h"
#include "tests/support/message_schedule.h"

namespace meshattn {
namespace {

using testing::MessageSchedule;

/// Rank 0 attends (op 0) and sends to rank 1 (op 1), which receives (op 2) and attends (op 3).
Schedule two_ranks() {
  MessageSchedule m(2);
  m.compute(0);
  m.send(0, 1, 10);
  m.compute(1);
  return m.finish();
}

TEST(TraceDifference, SumsUpKinds) {
  const Schedule s = two_ranks();
  const TraceDifference d = difference(s, {{0, 0, 0, 0}, {2, 5, 5, 4}, 5}, {{0, 0, 0, 0}, {3, 4, 4, 3}, 4});
  ASSERT_EQ(d.kinds.size(), 2u);
  EXPECT_EQ(d.kinds[0].kind, "attend");
  EXPECT_EQ(d.kinds[0].ops, 2u);
  EXPECT_EQ(d.kinds[0].measured_s, 6);
  EXPECT_EQ(d.kinds[0].simulated_s, 6);
  EXPECT_EQ(d.kinds[0].median_error, 0.375);  // 3 / 2 is 0.5 off, 3 / 4 0.25
  EXPECT_EQ(d.kinds[1].kind, "exchange");
  EXPECT_EQ(d.kinds[1].measured_s, 10);
}

/// The exchange ends last. The path to it is that of one of its ends, and the exchange itself.
TEST(TraceDifference, PathLeadsToTheOpThatEndedLast) {
  const Schedule s = two_ranks();
  const TraceDifference d = difference(s, {{0, 0, 0, 0}, {2, 5, 5, 4}, 5}, {{0, 0, 0, 0}, {3, 4, 4, 3}, 4});
  ASSERT_EQ(d.path.size(), 1u);
  EXPECT_EQ(d.path[0].measured_s, 5);
  EXPECT_EQ(d.path[0].simulated_s, 4);
}

/// On one lane: rank 0 sends to rank 3 (ops 0 and 5, to 2), rank 1 to rank 2 (ops 2 and 4, to 4); then rank 0 sends to
/// rank 1 (ops 1 and 3, to 9), which waits longer for the other op of rank 1 than for that of rank 0.
TEST(TraceDifference, AnExchangeWaitsForBothItsEnds) {
  MessageSchedule m(4);
  m.send(0, 3, 10);
  m.send(1, 2, 10);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  ASSERT_EQ(s.ops.size(), 6u);
  const std::vector<double> ends{2, 9, 4, 9, 4, 2};
  std::vector<OpId> ops;
  for (const PathStep& step : difference(s, {std::vector<double>(6, 0), ends, 9}, {ends, ends, 9}).path)
    ops.push_back(step.op);
  EXPECT_EQ(ops, (std::vector<OpId>{2, 1}));
}

/// A compute op on the path waited for the op before it, and for no op that ended later.
void expect_longest_waits(const Schedule& s, const Trace& measured, const std::vector<PathStep>& path) {
  const Dependencies dependencies(s);
  for (std::size_t i = 0; i < path.size(); ++i) {
    const OpId op = path[i].op;
    if (std::holds_alternative<Exchange>(s.ops[op])) continue;
    double latest_s = 0;
    for (OpId before : dependencies.of(op)) latest_s = std::max(latest_s, measured.end_s[before]);
    for (OpId before = s.ops_begin(s.rank_of(op)); before < op; ++before)
      if (s.lane(s.ops[before]) == kComputeLane) latest_s = std::max(latest_s, measured.end_s[before]);
    EXPECT_EQ(i == 0 ? 0 : measured.end_s[path[i - 1].op], latest_s) << "op " << op;
  }
}

/// For every schedule and any two clusters: measured steps add up to the makespan, and simulated ones to the end of the
/// last op; no measured step is negative; each step waits for the one before, by a lane, a value or an exchange.
TEST(TraceDifference, StepsAddUpToTheDifference) {
  Cluster slow;
  slow.gpu.attention_flops_per_s = 1e12;
  slow.node = {.gpus = 4, .link_bytes_per_s = 20e9, .link_startup_s = 3e-6};
  Cluster fast = slow;
  fast.node.link_bytes_per_s = 200e9;
  fast.gpu.attention_flops_per_s = 3e12;
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (const Tile tile : {Tile{1, 4}, Tile{2, 2}, Tile{4, 1}}) {
      const Problem p{{4096, 4096, 1, 8, 4, 64, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, pass, 4};
      const CostModel slow_cost(slow.gpu, p), fast_cost(fast.gpu, p);
      const Schedule s = plan_phase(configure("mesh", p, {.tile = tile}, 4), Network(slow, 4), slow_cost).schedule;
      const Trace measured = estimate(s, Network(slow, 4), slow_cost.times(s));
      const Trace simulated = estimate(s, Network(fast, 4), fast_cost.times(s));
      const TraceDifference d = difference(s, measured, simulated);
      ASSERT_FALSE(d.path.empty());
      double measured_s = 0, simulated_s = 0;
      for (const PathStep& step : d.path) {
        EXPECT_GE(step.measured_s, 0);
        measured_s += step.measured_s;
        simulated_s += step.simulated_s;
      }
      EXPECT_NEAR(measured_s, measured.makespan_s, 1e-12);
      expect_longest_waits(s, measured, d.path);
      EXPECT_NEAR(simulated_s, simulated.end_s[d.path.back().op], 1e-12);
      std::size_t ops = 0;
      for (const KindDifference& k : d.kinds) ops += k.ops;
      EXPECT_EQ(ops, s.ops.size());
    }
}

}  // namespace
}  // namespace meshattn
