#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/schedule/passes/verify.h"
#include "core/schedule/schedule_builder.h"
#include "tests/core/schedule/passes/verify/edit_schedule.h"

namespace meshattn {
namespace {

using testing::all_of;
using testing::first_head;
using testing::get_op;
using ::testing::HasSubstr;
using testing::simple_plan;
using testing::small_problem;
using testing::tile_2x2;

TEST(VerifyOperands, MadeValuesHaveLargerIds) {
  ScheduleBuilder b(small_problem(1, Pass::kForward));
  const RegionId q_rows = b.chunk_region(0, Tensor::kQ), kv_rows = b.chunk_region(0, Tensor::kKV);
  const ValueId sum = b.declare(0, Tensor::kO, q_rows, Dtype::kFp32);
  const ValueId q = b.input(0, Tensor::kQ, q_rows, Dtype::kBf16), kv = b.input(0, Tensor::kKV, kv_rows, Dtype::kBf16);
  b.attend(0, {b.add_row(AttendRow{q, sum}), b.add_column(kv), 1, 1});
  b.output(b.combine(std::vector{sum}, Dtype::kBf16));
  EXPECT_THAT(all_of(b.finish()), HasSubstr("made values have larger ids"));
}

TEST(VerifyOperands, AttendsHaveFittingOperands) {
  Schedule s = tile_2x2(Pass::kForward);
  s.rows[0].q = s.columns[0];
  EXPECT_THAT(all_of(s), HasSubstr("is used as Q"));

  s = tile_2x2(Pass::kForward);
  s.columns[0] = s.columns[2];  // rank 1's own keys
  EXPECT_THAT(all_of(s), HasSubstr("is on rank 1"));

  s = tile_2x2(Pass::kForward);
  s.values[s.rows[0].o].dtype = Dtype::kBf16;
  EXPECT_THAT(all_of(s), HasSubstr("accumulates blocks in bf16, not in fp32"));

  s = tile_2x2(Pass::kForward);
  s.values[s.rows[0].o].region = first_head(s, s.rows[0].o);
  EXPECT_THAT(all_of(s), HasSubstr("is never attended"));  // a row attends the heads of its accumulator

  s = mesh(small_problem(4, Pass::kForward, Mask::kFull, Partition::kContiguous, 2, 2),
           simple_plan({2, 2}, Pass::kForward), Dtype::kBf16);
  s.values[s.columns[1]].region = first_head(s, s.columns[1]);
  EXPECT_THAT(all_of(s), HasSubstr("has heads whose keys some column of the op lacks"));

  s = tile_2x2(Pass::kBackward);
  s.values[s.backward_rows[1].delta].region = first_head(s, s.backward_rows[1].delta);
  EXPECT_THAT(all_of(s), HasSubstr("lacks heads of dQ value"));

  s = tile_2x2(Pass::kBackward);
  s.values[get_op<Delta>(s, 0).d_o].region = first_head(s, s.values[0].region);
  EXPECT_THAT(all_of(s), HasSubstr("has rows that dO value"));

  s = tile_2x2(Pass::kForward);
  s.problem.pass = Pass::kBackward;
  EXPECT_THAT(all_of(s), HasSubstr("attends forward in a backward pass"));
  s = tile_2x2(Pass::kBackward);
  s.problem.pass = Pass::kForward;
  EXPECT_THAT(all_of(s), HasSubstr("attends backward in a forward pass"));
}

TEST(VerifyOperands, CombinesAndTransfersHaveFittingOperands) {
  Schedule s = tile_2x2(Pass::kForward);
  const ValueId made = get_op<Combine>(s, 0, 1).made, first = s.sources_of(get_op<Combine>(s, 0, 1))[0];
  s.values[made].region = first_head(s, made);
  EXPECT_THAT(all_of(s), HasSubstr("whose cell 0, head 1 is never read"));

  s = tile_2x2(Pass::kForward);
  for (ValueId v : s.sources_of(get_op<Combine>(s, 0, 1))) s.values[v].region = first_head(s, v);
  EXPECT_THAT(all_of(s), HasSubstr("head 1, which none of its sources has"));

  s = tile_2x2(Pass::kForward);
  s.values[first].region = first_head(s, first);  // received: its source keeps both heads
  EXPECT_THAT(all_of(s), HasSubstr("whose cell 0, head 1 is never read"));

  s = tile_2x2(Pass::kForward);
  s.values[s.transfers[0].made].dtype = Dtype::kFp32;
  EXPECT_THAT(all_of(s), HasSubstr("which has another tensor or dtype"));

  s = tile_2x2(Pass::kForward);
  s.values[s.inputs[0]].region = first_head(s, s.inputs[0]);  // Q of rank 0, which rank 1 gets
  EXPECT_THAT(all_of(s), HasSubstr("which it copies"));

  s = tile_2x2(Pass::kForward);
  s.values[s.transfers[0].made].rank = s.values[s.transfers[0].source].rank;
  EXPECT_THAT(all_of(s), HasSubstr("is sent to its own rank"));
}

}  // namespace
}  // namespace meshattn
