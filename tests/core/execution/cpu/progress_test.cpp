#include "core/execution/cpu/progress.h"

#include <gtest/gtest.h>

#include "tests/support/message_schedule.h"

namespace meshattn::cpu {
namespace {

/// Rank 0: 0 attend, 1 exchange, 2 exchange on lane 2; rank 1: 3 exchange, 4 exchange on lane 2.
Schedule schedule() {
  meshattn::testing::MessageSchedule m(2);
  m.compute(0);
  m.send(0, 1, 1);
  m.send(0, 1, 1, 2);
  Schedule s = m.finish();
  s.waits.push_back({1, 0});
  return s;
}

TEST(Progress, ListsTheLanesThatHaveOps) {
  const Schedule s = schedule();
  const std::vector<LaneProgress> lanes = lanes_of(s);
  ASSERT_EQ(lanes.size(), 5u);
  EXPECT_EQ(lanes[3].rank, 1);
  EXPECT_EQ(lanes[3].lane, 1);
  EXPECT_EQ(lanes[3].ops, std::vector<OpId>{3});
}

TEST(Progress, OpsStartAfterTheOpsThatTheyWaitFor) {
  const Schedule s = schedule();
  Progress progress(s);
  EXPECT_FALSE(progress.may_start(1));
  EXPECT_TRUE(progress.may_start(2));
  progress.end(0);
  EXPECT_TRUE(progress.may_start(1));
}

TEST(Progress, TransfersAreCopiedOnceBothExchangesHaveStarted) {
  const Schedule s = schedule();
  Progress progress(s);
  const auto& exchange = std::get<Exchange>(s.ops[1]);
  const TransferId t = s.transfers_of(exchange).front();
  EXPECT_FALSE(progress.start(t));
  EXPECT_TRUE(progress.start(t));
  EXPECT_FALSE(progress.may_end(exchange));
  progress.set_copied(t);
  EXPECT_TRUE(progress.may_end(exchange));
}

TEST(Progress, DescribesAtMostFourLanesOfADeadlock) {
  const Schedule s = schedule();
  std::vector<LaneProgress> lanes = lanes_of(s);
  lanes[0].next = 1;
  lanes[1].started = true;
  EXPECT_EQ(describe_deadlock(lanes),
            "deadlock: rank 0 lane 1 cannot end op 1, rank 0 lane 2 cannot start op 2, rank 1 lane 1 cannot start op 3,"
            " rank 1 lane 2 cannot start op 4");
  lanes[0].next = 0;
  EXPECT_EQ(describe_deadlock(lanes),
            "deadlock: rank 0 lane 0 cannot start op 0, rank 0 lane 1 cannot end op 1, rank 0 lane 2 cannot start op 2,"
            " rank 1 lane 1 cannot start op 3, and 1 more lanes");
}

}  // namespace
}  // namespace meshattn::cpu
