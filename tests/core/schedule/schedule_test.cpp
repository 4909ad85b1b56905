#include "core/schedule/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/schedule/passes/assign_memory.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using ::testing::ElementsAreArray;
using testing::simple_plan;
using testing::small_problem;

Schedule tile_3x2(Pass pass) {
  Schedule s =
      mesh(small_problem(6, pass, Mask::kFull, Partition::kZigzag, 4, 2), simple_plan({3, 2}, pass), Dtype::kBf16);
  assign_memory(s);
  return s;
}

TEST(Schedule, NamesOfTensorsReadBack) {
  for (int i = 0; i <= static_cast<int>(Tensor::kDKV); ++i) {
    const auto tensor = static_cast<Tensor>(i);
    EXPECT_EQ(parse_tensor(name_of(tensor)), tensor);
  }
  EXPECT_THROW((void)parse_tensor("K"), InvalidInput);
}

TEST(Schedule, EveryOpIsOfTheRankThatListsIt) {
  const Schedule s = tile_3x2(Pass::kBackward);
  OpId listed = 0;
  for (Rank rank = 0; rank < 6; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op, ++listed) EXPECT_EQ(s.rank_of(op), rank);
  EXPECT_EQ(listed, s.ops.size());
}

TEST(Schedule, WaitsOfAnOpAreItsOwn) {
  Schedule s = tile_3x2(Pass::kBackward);
  s.waits.clear();
  for (Rank rank = 0; rank < 6; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)  // none, one or two waits
      for (OpId after = s.ops_begin(rank); after < op && after < s.ops_begin(rank) + op % 3; ++after)
        s.waits.push_back({op, after});
  for (OpId op = 0; op < s.ops.size(); ++op) {
    std::vector<ReuseWait> own;
    for (const ReuseWait& wait : s.waits)
      if (wait.op == op) own.push_back(wait);
    EXPECT_THAT(s.waits_of(op), ElementsAreArray(own)) << op;
  }
}

/// Two tokens × 4 heads × batch 2 in bf16, head dim 8: 256 bytes of Q; KV has 2 heads and two matrices. O adds 4 bytes,
/// delta has 8, per row and head.
TEST(Schedule, BytesOfValues) {
  Problem p{{2, 2, 2, 4, 2, 8, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kBackward, 1};
  Schedule s;
  s.problem = p;
  const Cell cell = 0;
  const RegionId q = s.regions.intern(std::span(&cell, 1), {0, 4}), kv = s.regions.intern(std::span(&cell, 1), {0, 2});
  s.values = {{0, q, Tensor::kQ, Dtype::kBf16},     {0, kv, Tensor::kKV, Dtype::kBf16},
              {0, q, Tensor::kO, Dtype::kBf16},     {0, q, Tensor::kO, Dtype::kFp32},
              {0, q, Tensor::kDelta, Dtype::kFp32}, {0, kv, Tensor::kDKV, Dtype::kFp32}};
  const std::uint64_t bytes[] = {256, 256, 256 + 16 * 4, 512 + 16 * 4, 16 * 8, 512};
  const std::uint64_t payload[] = {256, 256, 256, 512, 0, 512};
  for (ValueId v = 0; v < s.values.size(); ++v) {
    EXPECT_EQ(s.bytes(v), bytes[v]) << v;
    EXPECT_EQ(s.payload_bytes(v), payload[v]) << v;
  }
}

TEST(Schedule, BytesOfDisjointPartsAddUp) {
  const Schedule s = tile_3x2(Pass::kBackward);
  for (ValueId v = 0; v < s.values.size(); ++v) {
    const Region r = s.region(v);
    std::uint64_t rows = 0, bytes = 0;
    for (const Cell& cell : r.cells)
      for (std::int32_t head = r.heads.begin; head < r.heads.end; ++head) {
        const Region part{std::span(&cell, 1), {head, head + 1}};
        rows += s.rows_in(v, part);
        bytes += s.bytes(v, part);
      }
    EXPECT_EQ(rows, s.rows_in(v));
    EXPECT_EQ(bytes, s.bytes(v));
  }
}

/// Every operand is on the rank of its op; every value is an input or made by some op of its rank.
TEST(Schedule, OperandsAreOnTheRankOfTheirOp) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Schedule s = tile_3x2(pass);
    std::vector<bool> exists(s.values.size());
    for (ValueId v : s.inputs) exists[v] = true;
    for (Rank rank = 0; rank < 6; ++rank)
      for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)
        for_each_operand(
            s, s.ops[op], rank, [&](ValueId v) { EXPECT_EQ(s.values[v].rank, rank); },
            [&](ValueId v) {
              EXPECT_EQ(s.values[v].rank, rank);
              exists[v] = true;
            });
    EXPECT_EQ(std::ranges::count(exists, false), 0);
  }
}

}  // namespace
}  // namespace meshattn
