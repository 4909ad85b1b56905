#include "core/schedule/passes/needed_cells.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/schedule/schedule_builder.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::small_problem;

/// Three ranks, contiguous, causal: rank 1 attends its queries to the keys of all ranks, which it receives as one
/// value. Of these it needs cells 0 and 1.
TEST(NeededCells, OfReceivedKeysThoseThatSomeBlockReads) {
  ScheduleBuilder b(small_problem(3, Pass::kForward, Mask::kCausal));
  const HeadRange heads{0, b.problem().shape.kv_heads};
  const ValueId q = b.input(1, Tensor::kQ, b.chunk_region(1, Tensor::kQ), Dtype::kBf16);
  const ValueId all = b.input(2, Tensor::kKV, b.chunk_region(0, 2, heads), Dtype::kBf16);
  const TransferId t = b.transfer(all, 1, 1);
  b.exchange_all(std::vector{t});
  const ValueId o = b.declare(1, Tensor::kO, b.chunk_region(1, Tensor::kO), Dtype::kFp32);
  b.attend(1, std::vector{AttendRow{q, o}}, std::vector{b.made(t)});
  const ValueId received = b.made(t);
  const Schedule s = b.finish();
  const NeededCells needed(s);
  EXPECT_THAT(needed.cells_of(received), ElementsAre(0u, 1u));
  EXPECT_THAT(needed.cells_of(all), ElementsAre(0u, 1u, 2u));  // an input
  EXPECT_THAT(needed.cells_of(o), ElementsAre(1u));
}

/// Rank 0 attends queries of chunks 0 and 1 to keys of chunk 1, into two partials: the first gets no contribution.
TEST(NeededCells, APartialWithoutContributionsIsNotNeeded) {
  ScheduleBuilder b(small_problem(2, Pass::kForward, Mask::kCausal));
  std::vector<ValueId> partials;
  const ValueId kv = b.input(0, Tensor::kKV, b.chunk_region(1, Tensor::kKV), Dtype::kBf16);
  std::vector<AttendRow> rows;
  for (Rank chunk : {0, 1}) {
    const ValueId q = b.input(0, Tensor::kQ, b.chunk_region(chunk, Tensor::kQ), Dtype::kBf16);
    partials.push_back(b.declare(0, Tensor::kO, b.chunk_region(chunk, Tensor::kO), Dtype::kFp32));
    rows.push_back({q, partials.back()});
  }
  b.attend(0, rows, std::vector{kv});
  const HeadRange heads{0, b.problem().shape.heads};
  const ValueId both = b.combine(partials, b.chunk_region(0, 1, heads), Dtype::kBf16);
  const Schedule s = b.finish();
  const NeededCells needed(s);
  EXPECT_THAT(needed.cells_of(partials[0]), IsEmpty());
  EXPECT_THAT(needed.cells_of(partials[1]), ElementsAre(1u));
  EXPECT_THAT(needed.cells_of(both), ElementsAre(1u));
  EXPECT_THAT(needed.sources_of(both), ElementsAre(partials[1]));
  EXPECT_FALSE(needed.any_block(rows[0], kv));
  EXPECT_TRUE(needed.any_block(rows[1], kv));
}

}  // namespace
}  // namespace meshattn
