#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "tests/core/schedule/passes/verify/edit_schedule.h"

namespace meshattn {
namespace {

using testing::all_of;
using ::testing::HasSubstr;
using testing::tile_2x2;

TEST(VerifyStructure, RefusesAMaskThatDoesNotFitItsSequence) {
  const Schedule good = prune(tile_2x2(Pass::kForward, Mask::kCausal));  // 8 tokens
  const auto finding = [&](const Mask& mask, int cuts) {
    Schedule s = good;
    s.problem.mask = mask;
    s.problem.cuts = cuts;
    return all_of(s);
  };
  const Documents seven(std::vector<std::int64_t>{3, 4});
  EXPECT_EQ(finding(Mask::kCausal, 1), "");
  EXPECT_EQ(finding({true, -5, {}}, 1), "a window must have from 1 to 1073741824 tokens, not -5\n");
  EXPECT_EQ(finding({true, 0, seven}, 1), "documents of 7 tokens in all: must be the 8 of the sequence\n");
  EXPECT_EQ(finding(Mask::kCausal, 0), "cuts must be from 1 to 65536, not 0\n");
}

TEST(VerifyStructure, RefusesWaitsThatAreUnsortedOrPointForwards) {
  Schedule s = tile_2x2(Pass::kForward);
  assign_memory(s);
  s.waits = {{2, 1}, {1, 0}};
  EXPECT_THAT(all_of(s), HasSubstr("is out of order"));
  s.waits = {{1, 2}};
  EXPECT_THAT(all_of(s), HasSubstr("op 1 of rank 0 waits for op 2, which is not listed before it on its rank"));
  s.waits = {{s.ops_begin(1), 0}};
  EXPECT_THAT(all_of(s), HasSubstr("waits for op 0, which is not listed before it on its rank"));
}

TEST(VerifyStructure, RefusesOffsetsOfSomeValuesOnly) {
  Schedule s = tile_2x2(Pass::kForward);
  assign_memory(s);
  s.offset.pop_back();
  EXPECT_THAT(all_of(s), HasSubstr("values have an offset in memory"));
}

}  // namespace
}  // namespace meshattn
