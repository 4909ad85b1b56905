#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/schedule/passes/verify.h"
#include "tests/core/schedule/passes/verify/edit_schedule.h"

namespace meshattn {
namespace {

using testing::all_of;
using testing::erase_op;
using testing::find_op;
using testing::get_op;
using ::testing::HasSubstr;
using testing::insert_op;
using testing::tile_2x2;

TEST(VerifyDataflow, ValuesAreMadeOnceBeforeTheyAreRead) {
  Schedule s = tile_2x2(Pass::kForward);
  insert_op(s, 1, find_op<Combine>(s, 1), s.ops[find_op<Combine>(s, 1)]);
  EXPECT_THAT(all_of(s), HasSubstr("is made twice, by op"));
  EXPECT_THAT(all_of(s), HasSubstr("is a partial and read twice, by op"));

  s = tile_2x2(Pass::kForward);
  std::swap(s.ops[find_op<Attend>(s, 0)], s.ops[find_op<Combine>(s, 0)]);
  EXPECT_THAT(all_of(s), HasSubstr("before it is made"));

  // Row 0 is attended in two halves, the second after the accumulator was read.
  s = tile_2x2(Pass::kForward);
  Attend& whole = get_op<Attend>(s, 0, 1);
  whole.column_count = 1;
  Attend rest = whole;
  ++rest.first_column;
  insert_op(s, 0, s.ops_end(0), rest);
  EXPECT_THAT(all_of(s), HasSubstr("after op"));
  EXPECT_THAT(all_of(s), HasSubstr("has read it"));
  erase_op(s, s.ops_end(0) - 1);
  insert_op(s, 0, find_op<Attend>(s, 0, 1), rest);
  EXPECT_EQ(all_of(s), "");

  s = tile_2x2(Pass::kForward);
  s.inputs.push_back(s.transfers.back().made);
  EXPECT_THAT(all_of(s), HasSubstr("is an input and made by op"));
  EXPECT_THAT(all_of(s), HasSubstr("is an input, but does not exist before this pass"));

  s = tile_2x2(Pass::kForward);
  s.outputs.pop_back();
  EXPECT_THAT(all_of(s), HasSubstr("is neither read nor an output"));

  s = tile_2x2(Pass::kForward);
  s.outputs.insert(s.outputs.begin(), s.rows[0].o);
  EXPECT_THAT(all_of(s), HasSubstr("is a partial, an output and read by op"));
}

TEST(VerifyDataflow, InputsAndOutputs) {
  Schedule s = tile_2x2(Pass::kForward);
  s.values[s.inputs[0]].region = s.values[s.inputs[1]].region;
  EXPECT_THAT(all_of(s), HasSubstr("is an input, but rank 0 does not own its cells"));

  s = tile_2x2(Pass::kForward);
  s.values[s.inputs[0]].dtype = Dtype::kFp32;
  EXPECT_THAT(all_of(s), HasSubstr("is an input and should be bf16"));

  s = tile_2x2(Pass::kForward);
  s.values[s.outputs[1]].dtype = Dtype::kFp32;
  EXPECT_THAT(all_of(s), HasSubstr("is an output and should be bf16"));

  s = tile_2x2(Pass::kForward);
  s.values[s.outputs[1]].region = s.values[s.outputs[0]].region;
  EXPECT_THAT(all_of(s), HasSubstr("is an output, but rank 1 does not own its cells"));
  EXPECT_THAT(all_of(s), HasSubstr("is a second output of cell 0"));
  EXPECT_THAT(all_of(s), HasSubstr("rank 1 has no complete output O of cell 1"));

  s = tile_2x2(Pass::kBackward);
  s.outputs[0] = s.transfers[0].made;
  EXPECT_THAT(all_of(s), HasSubstr("is an output, but not a result of this pass"));
}

}  // namespace
}  // namespace meshattn
