#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/schedule/passes/prune.h"
#include "core/schedule/schedule_builder.h"
#include "tests/core/schedule/passes/verify/edit_schedule.h"
#include "tests/support/interpreter/interpreter.h"

namespace meshattn {
namespace {

using testing::all_of;
using testing::find_op;
using testing::get_op;
using ::testing::HasSubstr;
using testing::insert_op;
using testing::interpret;
using testing::small_problem;
using testing::tile_2x2;

TEST(VerifyCoverage, EveryBlockIsAttendedOnce) {
  Schedule s = tile_2x2(Pass::kForward);
  --get_op<Attend>(s, 0).column_count;
  EXPECT_THAT(all_of(s), HasSubstr("is never attended"));

  s = tile_2x2(Pass::kForward);
  const Attend twice = get_op<Attend>(s, 0);
  insert_op(s, 0, find_op<Attend>(s, 0), twice);
  EXPECT_THAT(all_of(s), HasSubstr("which was attended before"));

  // Nothing is pruned: rank 0 attends queries of chunk 1 to keys of chunk 2.
  EXPECT_THAT(all_of(tile_2x2(Pass::kForward, Mask::kCausal)), HasSubstr("which has no block under the mask"));
  EXPECT_EQ(all_of(prune(tile_2x2(Pass::kForward, Mask::kCausal))), "");

  s = tile_2x2(Pass::kBackward);
  const Cell elsewhere[] = {3};
  s.values[s.backward_columns[0].dkv].region = s.regions.intern(elsewhere, {0, 1});
  EXPECT_THAT(all_of(s), HasSubstr("attends cell 0, which dKV value"));
}

/// One rank with two query cells, whose contributions to dKV of the same keys end in two outputs.
TEST(VerifyCoverage, TwoOutputsOfTheSameKeys) {
  Problem p = small_problem(1, Pass::kBackward, Mask::kFull, Partition::kZigzag);
  p.shape.dtype = Dtype::kFp32;
  ScheduleBuilder b(p);
  const HeadRange heads{0, p.shape.heads};
  const RegionId kv_rows = b.chunk_region(0, Tensor::kKV);
  const ValueId kv = b.input(0, Tensor::kKV, kv_rows, Dtype::kFp32);
  std::uint32_t row[2], column[2];
  for (Cell cell : {0u, 1u}) {
    const RegionId rows = b.region(std::span(&cell, 1), heads);
    const auto given = [&](Tensor tensor) { return b.input(0, tensor, rows, Dtype::kFp32); };
    const ValueId q = given(Tensor::kQ), o = given(Tensor::kO), d_o = given(Tensor::kDO), delta = b.delta(o, d_o);
    const ValueId dq = b.declare(0, Tensor::kDQ, rows, Dtype::kFp32);
    const ValueId dkv = b.declare(0, Tensor::kDKV, kv_rows, Dtype::kFp32);
    row[cell] = b.add_row(BackwardRow{q, d_o, delta, dq});
    column[cell] = b.add_column(BackwardColumn{kv, dkv});
    b.output(dq);
    b.output(dkv);
  }
  for (Cell cell : {0u, 1u}) b.attend_backward(0, {row[cell], column[cell], 1, 1});
  EXPECT_THAT(all_of(b.finish()), HasSubstr("is a second output of cell 0"));
}

/// Two ranks, four query heads, two key/value heads: rank r attends heads 2r and 2r + 1 of all queries to all keys, as
/// Ulysses does. Owned values are slices of heads, so blocks are counted per head.
Schedule sliced_by_heads() {
  ScheduleBuilder b(small_problem(2, Pass::kForward, Mask::kFull, Partition::kContiguous, 4, 2));
  const auto slice = [&](Cell cell, int r, int heads) {
    return b.region(std::span(&cell, 1), {r * heads, (r + 1) * heads});
  };
  ValueId q[2][2], kv[2][2];  // by owner and slice
  for (Rank r : {0, 1})
    for (int h : {0, 1}) {
      q[r][h] = b.input(r, Tensor::kQ, slice(static_cast<Cell>(r), h, 2), Dtype::kBf16);
      kv[r][h] = b.input(r, Tensor::kKV, slice(static_cast<Cell>(r), h, 1), Dtype::kBf16);
    }
  std::vector<TransferId> in, out;
  for (Rank r : {0, 1})
    for (ValueId sent : {q[r][1 - r], kv[r][1 - r]}) in.push_back(b.transfer(sent, 1 - r, 1));
  for (Rank r : {0, 1}) b.exchange(r, in);
  for (Rank r : {0, 1}) {
    const auto other = static_cast<std::size_t>(1 - r);
    const ValueId own = b.declare(r, Tensor::kO, slice(static_cast<Cell>(r), r, 2), Dtype::kFp32);
    const ValueId foreign = b.declare(r, Tensor::kO, slice(static_cast<Cell>(1 - r), r, 2), Dtype::kFp32);
    const std::uint32_t row = b.add_row(AttendRow{q[r][r], own}), column = b.add_column(kv[r][r]);
    b.add_row(AttendRow{b.made(in[2 * other]), foreign});
    b.add_column(b.made(in[2 * other + 1]));
    b.attend(r, {row, column, 2, 2});
    b.output(b.combine(std::vector{own}, Dtype::kBf16));
    out.push_back(b.transfer(b.combine(std::vector{foreign}, Dtype::kBf16), 1 - r, 1));
    b.output(b.made(out.back()));
  }
  for (Rank r : {0, 1}) b.exchange(r, out);
  return b.finish();
}

TEST(VerifyCoverage, SlicesOfHeads) {
  std::mt19937 random(6);
  const Schedule s = sliced_by_heads();
  EXPECT_EQ(all_of(s), "");
  EXPECT_EQ(interpret(s, 14, random), "");
  Schedule fewer = s;
  --get_op<Attend>(fewer, 1).column_count;
  EXPECT_THAT(all_of(fewer), HasSubstr("q cell 0 × kv cell 0 is never attended"));
  EXPECT_NE(interpret(fewer, 1, random), "");
  Schedule uncovered = s;
  uncovered.outputs.pop_back();
  EXPECT_THAT(all_of(uncovered), HasSubstr("rank 0 has no complete output O of cell 0"));
}

}  // namespace
}  // namespace meshattn
