#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/algorithms/mesh.h"
#include "core/base/error.h"
#include "core/execution/cpu/executor.h"
#include "core/schedule/passes/assign_memory.h"
#include "tests/support/proof.h"

namespace meshattn::cpu {
namespace {

using meshattn::testing::dense_tensors;
using meshattn::testing::error_of;

/// A ring that attends each key/value chunk on its own, so that its memory is free before the next ones arrive.
OrderedTile column_by_column(int ranks) {
  OrderedTile plan{{1, ranks}, Pass::kForward, {}, 0, 0, 0};
  for (int t = 1; t < ranks; ++t) plan.steps.emplace_back(Hop::kColumnIn);
  for (int t = 0; t < ranks; ++t) plan.steps.emplace_back(Rectangle{0, 1, t, t + 1});
  return plan;
}

Problem ring_problem(int ranks) {
  return {{4 * ranks, 4 * ranks, 1, 4, 2, 4, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, ranks};
}

Schedule ring(int ranks) { return mesh(ring_problem(ranks), column_by_column(ranks), Dtype::kFp32); }

/// Gives every value bytes of its own.
void spread(Schedule& s) {
  s.offset.clear();
  s.peak_bytes = 0;
  for (ValueId v = 0; v < s.values.size(); ++v) {
    s.offset.push_back(s.peak_bytes);
    s.peak_bytes += s.bytes(v);
  }
}

/// The op of rank 0 that receives its k-th chunk (k from 1), and the value that it makes.
std::pair<OpId, ValueId> receive(const Schedule& s, int k) {
  for (OpId op = s.ops_begin(0); op < s.ops_end(0); ++op)
    if (const auto* x = std::get_if<Exchange>(&s.ops[op]))
      for (TransferId t : s.transfers_of(*x))
        if (s.values[s.transfers[t].made].rank == 0 && --k == 0) return {op, s.transfers[t].made};
  return {kNone, kNone};
}

/// The op of rank 0 that attends v.
OpId attended(const Schedule& s, ValueId v) {
  for (OpId op = s.ops_begin(0); op < s.ops_end(0); ++op)
    if (const auto* a = std::get_if<Attend>(&s.ops[op]))
      if (s.columns_of(*a).front() == v) return op;
  return kNone;
}

TEST(CpuExecutorMemory, SharedBytesNeedTheirReuseWait) {
  const Tensors dense = dense_tensors(ring_problem(4).shape, Mask::kFull);
  Schedule s = ring(4);
  spread(s);
  EXPECT_LE(error_of(run(s, dense).o, dense.o), 1e-12);

  // The third chunk has the bytes of the first. Only a wait keeps it from arriving before the first is read.
  const auto [first_op, first] = receive(s, 1);
  const auto [third_op, third] = receive(s, 3);
  s.offset[third] = s.offset[first];
  EXPECT_GT(error_of(run(s, dense).o, dense.o), 1e-3);
  s.waits.push_back({third_op, attended(s, first)});
  EXPECT_LE(error_of(run(s, dense).o, dense.o), 1e-12);
  EXPECT_LE(error_of(run(s, dense, Precision::kFp64, Threading::kPerLane).o, dense.o), 1e-12);
}

TEST(CpuExecutorMemory, OverlappingValuesOverwriteEachOther) {
  const Tensors dense = dense_tensors(ring_problem(4).shape, Mask::kFull);
  // The second chunk is sent on to be the third of another rank. So the two may not share even one row, the last of one
  // (V) and the first of the other (K), in any order of ops.
  for (std::uint64_t shared_rows : {1, 8}) {
    Schedule s = ring(4);
    spread(s);
    const ValueId first = receive(s, 1).second, second = receive(s, 2).second;
    const std::uint64_t row_bytes = 4 * 2;  // head_dim 4, bf16
    ASSERT_LE(shared_rows * row_bytes, s.bytes(first));
    s.offset[second] = s.offset[first] + s.bytes(first) - shared_rows * row_bytes;
    EXPECT_GT(error_of(run(s, dense).o, dense.o), 1e-3) << shared_rows << " rows";
  }
}

TEST(CpuExecutorMemory, RingWithoutItsReuseWaitsIsWrong) {
  const Tensors dense = dense_tensors(ring_problem(8).shape, Mask::kFull);
  // Hops and blocks are issued in turn, so that two buffers serve all received chunks.
  OrderedTile plan{{1, 8}, Pass::kForward, {}, 0, 0, 0};
  for (int t = 0; t < 8; ++t) {
    if (t > 0) plan.steps.emplace_back(Hop::kColumnIn);
    plan.steps.emplace_back(Rectangle{0, 1, t, t + 1});
  }
  Schedule s = mesh(ring_problem(8), plan, Dtype::kFp32);
  assign_memory(s);
  Schedule far_ahead = ring(8);
  assign_memory(far_ahead);
  EXPECT_LT(s.peak_bytes, far_ahead.peak_bytes);
  ASSERT_FALSE(s.waits.empty());
  EXPECT_LE(error_of(run(s, dense).o, dense.o), 1e-12);
  s.waits.clear();
  EXPECT_GT(error_of(run(s, dense).o, dense.o), 1e-3);
}

TEST(CpuExecutorMemory, DeadlockNamesTheLanesThatWait) {
  const Tensors dense = dense_tensors(ring_problem(4).shape, Mask::kFull);
  // Rank 0 sends on the second chunk before it has received the first: its neighbours wait for the other hop.
  Schedule s = ring(4);
  std::swap(s.ops[receive(s, 1).first], s.ops[receive(s, 2).first]);
  // The same without a partner: rank 3 has no op left.
  Schedule alone = ring(4);
  alone.first_op[4] = alone.first_op[3];
  for (Schedule* stuck : {&s, &alone}) {
    spread(*stuck);
    for (Threading threading : {Threading::kSingle, Threading::kPerLane})
      EXPECT_THAT([&] { (void)run(*stuck, dense, Precision::kFp64, threading); },
                  ::testing::ThrowsMessage<InvalidSchedule>(::testing::AllOf(
                      ::testing::HasSubstr("deadlock"), ::testing::HasSubstr("rank 0 lane 1 cannot"))));
  }
}

TEST(CpuExecutorMemory, RefusesBadOffsetsAndTensorsOfAnotherShape) {
  const Tensors dense = dense_tensors(ring_problem(2).shape, Mask::kFull);
  Schedule s = ring(2);
  EXPECT_THROW((void)run(s, dense), InvalidSchedule);
  assign_memory(s);
  Tensors small = dense;
  small.v.pop_back();
  // V is 8 tokens × 2 heads × 4 = 64 numbers, and one is missing.
  EXPECT_THAT([&] { (void)run(s, small); },
              ::testing::ThrowsMessage<InvalidInput>(::testing::HasSubstr("KV is given with 63 numbers")));
  s.offset.front() = s.peak_bytes - 2;
  EXPECT_THROW((void)run(s, dense), InvalidSchedule);
  s.offset.front() = 1;
  EXPECT_THROW((void)run(s, dense), InvalidSchedule);
}

}  // namespace
}  // namespace meshattn::cpu
