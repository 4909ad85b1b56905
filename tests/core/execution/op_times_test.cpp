#include "core/execution/op_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_schedule.h"

namespace meshattn {
namespace {

using ::testing::ElementsAre;

/// A host takes no time for an exchange, and each rank has a host of its own.
TEST(OpTimes, HostsIssueOneOpAfterAnother) {
  testing::MessageSchedule m(2);
  m.compute(0);
  m.send(0, 1, 1);
  m.compute(0);
  m.compute(1);
  const Schedule s = m.finish();
  OpTimes times;
  EXPECT_EQ(times.earliest_end_s(2), 0);
  times.set_issue_times(s, 0.5);
  EXPECT_THAT(times.issued_s, ElementsAre(0, 0.5, 0.5, 0, 0));
  EXPECT_EQ(times.earliest_end_s(2), 1);
  times.set_issue_times(s, 2);
  EXPECT_THAT(times.issued_s, ElementsAre(0, 2, 2, 0, 0));
}

}  // namespace
}  // namespace meshattn
