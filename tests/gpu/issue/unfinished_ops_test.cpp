#include "gpu/issue/unfinished_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gpu/schedules.h"

namespace meshattn {
namespace {

using testing::schedule_of;

Problem problem_of(Pass pass, int ranks) {
  return {{64, 64, 2, 4, 2, 8, Dtype::kFp32}, Mask::kCausal, Partition::kZigzag, pass, ranks};
}

TEST(UnfinishedOps, IsTheFirstOpOfEachRankThatHasNotEnded) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const std::vector<Rank> ranks{0, 1};
  const OpId second = s.ops_begin(1) + 1;
  const std::string text =
      gpu::unfinished_ops_text(s, ranks, [&](OpId op) { return op < s.ops_begin(1) || op < second; });
  EXPECT_THAT(text, ::testing::StartsWith("rank 1 at op 1: "));  // counted within its rank
  EXPECT_EQ(gpu::unfinished_ops_text(s, ranks, [](OpId) { return true; }), "nothing");
}

}  // namespace
}  // namespace meshattn
