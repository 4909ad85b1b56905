#include "gpu/issue/calls.h"

#include <gtest/gtest.h>

#include <map>

#include "core/base/error.h"
#include "core/problem/problem.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/schedule_builder.h"
#include "tests/gpu/schedules.h"
#include "tests/support/masks.h"

namespace meshattn {
namespace {

using gpu::AttendCall;
using gpu::BackwardCall;
using gpu::Call;
using gpu::MatrixView;
using testing::schedule_of;

/// Calls f(byte) for the first byte of every row.
template <typename F>
void for_each_row(const MatrixView& rows, F&& f) {
  for (int item = 0; item < rows.items; ++item)
    for (int head = 0; head < rows.heads; ++head)
      for (std::int64_t i = 0; i < rows.tokens; ++i)
        f(rows.offset + static_cast<std::uint64_t>(rows.row_index(item, head, i)) * rows.row_bytes());
}

/// The rows of accumulators that have been written so far. Values share bytes, so overwriting a row starts a new value.
struct Rowwise {
  std::map<std::uint64_t, bool> holds;
  int added_to_nothing = 0;

  void take(const MatrixView& rows, bool adds) {
    for_each_row(rows, [&](std::uint64_t row) {
      if (adds && !holds[row]) ++added_to_nothing;
      holds[row] = true;
    });
  }
};

/// No block adds to rows that have not been written.
TEST(Calls, WhatIsAddedToWasWritten) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    Problem p = testing::random_problem(random, 4);
    for (Pass pass : {Pass::kForward, Pass::kBackward}) {
      p.pass = pass;
      SCOPED_TRACE(testing::describe(p));
      const Schedule s = schedule_of(p, "mesh", {.tile = Tile{1, p.ranks}});
      for (Rank rank = 0; rank < p.ranks; ++rank) {
        Rowwise rows;
        const gpu::Calls calls(s, rank);
        for (const Call& call : calls.all()) {
          if (const auto* clear = std::get_if<gpu::Clear>(&call)) rows.take(clear->rows, false);
          if (const auto* a = std::get_if<AttendCall>(&call)) rows.take(a->o, a->merge);
          if (const auto* b = std::get_if<BackwardCall>(&call)) {
            rows.take(b->dq, b->add_dq);
            rows.take(b->dk, b->add_dkv);
          }
        }
        ASSERT_EQ(rows.added_to_nothing, 0) << "rank " << rank;
      }
    }
  }
}

std::size_t clears(const Schedule& s) {
  std::size_t count = 0;
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    const gpu::Calls calls(s, rank);
    for (const Call& call : calls.all()) count += std::holds_alternative<gpu::Clear>(call) ? 1 : 0;
  }
  return count;
}

/// Nothing is cleared if the first block of every accumulator covers whole chunks or runs: it overwrites them.
TEST(Calls, OnlyWhatIsTouchedInPartIsCleared) {
  const auto problem = [](Mask mask, Partition partition, Pass pass) {
    return Problem{{64, 64, 1, 4, 2, 2, Dtype::kBf16}, std::move(mask), partition, pass, 4};
  };
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    EXPECT_EQ(clears(schedule_of(problem(Mask::kFull, Partition::kContiguous, pass), "ring")), 0u);
    EXPECT_EQ(clears(schedule_of(problem(Mask::kFull, Partition::kContiguous, pass), "mesh", {.tile = Tile{2, 2}})),
              0u);
  }
  EXPECT_EQ(clears(schedule_of(problem(Mask::kCausal, Partition::kZigzag, Pass::kForward), "ring")), 0u);
  // An earlier stripe's first query sees no key of a later stripe. If that block comes first, the accumulator is
  // cleared.
  EXPECT_GT(
      clears(schedule_of(problem(Mask::kCausal, Partition::kStriped, Pass::kForward), "mesh", {.tile = Tile{4, 1}})),
      0u);
}

/// 4 tokens per rank, 2 ranks, ring, full mask, 4 query heads, 2 key/value heads: each rank attends its own chunk and
/// the other chunk with one kernel each, of which the second merges.
TEST(Calls, ARingHasAKernelABlock) {
  const Schedule s =
      schedule_of({{8, 8, 1, 4, 2, 2, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2}, "ring");
  for (Rank rank : {0, 1}) {
    std::vector<AttendCall> attend;
    const gpu::Calls calls(s, rank);
    for (const Call& call : calls.all())
      if (const auto* a = std::get_if<AttendCall>(&call)) attend.push_back(*a);
    ASSERT_EQ(attend.size(), 2u);
    EXPECT_FALSE(attend[0].merge);
    EXPECT_TRUE(attend[1].merge);
    EXPECT_EQ(attend[0].o, attend[1].o);
    for (const AttendCall& a : attend) {
      EXPECT_TRUE(a.band.is_full());
      EXPECT_EQ(a.q.heads, 4);
      EXPECT_EQ(a.k.heads, 2);
      EXPECT_EQ(a.q.tokens, 4);
      EXPECT_EQ(a.k.tokens, 4);
      EXPECT_EQ(a.v.offset - a.k.offset, 2u * 4 * 2 * 2);  // two heads of four tokens of two numbers in bf16
      EXPECT_EQ(a.o.dtype, Dtype::kFp32);
    }
  }
}

/// Combines gradients of heads 0–1, 1–2 and 0–3: head 0 has two summands, head 1 three, head 2 two, head 3 one.
TEST(Calls, ASumIsCutWhereHeadsOfItsSourcesBeginAndEnd) {
  const Problem p{{8, 8, 1, 4, 4, 2, Dtype::kFp32}, Mask::kFull, Partition::kContiguous, Pass::kBackward, 1};
  ScheduleBuilder b(p);
  const Cell cell = 0;
  std::vector<ValueId> sources;
  for (const HeadRange heads : {HeadRange{0, 2}, {1, 3}, {0, 4}})
    sources.push_back(b.input(0, Tensor::kDQ, b.region(std::span(&cell, 1), heads), Dtype::kFp32));
  b.output(b.combine(sources, b.region(std::span(&cell, 1), {0, 4}), Dtype::kFp32));
  Schedule s = b.finish();
  assign_memory(s);
  std::map<std::uint64_t, std::size_t>
      summands;  // by first byte of the rows made, of 8 rows × 2 numbers × 4 bytes a head
  const gpu::Calls calls(s, 0);
  for (const Call& call : calls.all()) {
    const auto& sum = std::get<gpu::CombineCall>(call);
    EXPECT_EQ(sum.made.heads, 1);
    summands[sum.made.offset - s.offset[s.outputs.front()]] = sum.summands.size();
  }
  EXPECT_EQ(summands, (std::map<std::uint64_t, std::size_t>{{0, 2}, {64, 3}, {128, 2}, {192, 1}}));
}

TEST(Calls, HeadsThatAreTooLongAreRefused) {
  const Schedule s =
      schedule_of({{8, 8, 1, 1, 1, 520, Dtype::kFp32}, Mask::kFull, Partition::kContiguous, Pass::kForward, 1}, "ring");
  EXPECT_THROW(gpu::Calls(s, 0), InvalidInput);
}

}  // namespace
}  // namespace meshattn
