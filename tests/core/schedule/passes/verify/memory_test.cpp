#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/schedule_builder.h"
#include "tests/core/schedule/passes/verify/edit_schedule.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using testing::all_of;
using ::testing::HasSubstr;
using testing::tile_2x2;

TEST(VerifyMemory, RefusesWrongOffsetsAndPeaks) {
  Schedule s = tile_2x2(Pass::kForward);
  assign_memory(s);
  EXPECT_EQ(all_of(s), "");
  const Schedule good = s;

  s.offset[s.outputs[0]] = s.offset[s.inputs[0]];
  EXPECT_THAT(all_of(s), HasSubstr("which stays to the end"));
  s = good;
  s.offset[s.inputs[0]] = s.offset[s.inputs[4]];  // Q and KV of rank 0
  EXPECT_THAT(all_of(s), HasSubstr("both are inputs"));
  s = good;
  s.peak_bytes += 256;
  EXPECT_THAT(all_of(s), HasSubstr("the peak is"));
  s = good;
  s.offset[3] = s.peak_bytes;
  EXPECT_THAT(all_of(s), HasSubstr("past the end of an arena of"));
  s.offset[3] = UINT64_MAX;
  EXPECT_THAT(all_of(s), HasSubstr("past the end of an arena of"));
}

/// Values that share only a part of their bytes: three ranks of a zigzag problem. Each receives the keys of the next
/// rank whole (`whole`), then those of the rank after it in two halves, on lane 1 and on lane 2. The halves take the
/// bytes of the whole: `first` its head, `second` its tail, or the other way round.
struct Halves {
  Schedule schedule;
  std::vector<OpId> attends_whole, receives_first, receives_second;  ///< by rank
};

constexpr int kRanks = 3;
std::size_t at(Rank r) { return static_cast<std::size_t>(r); }

Halves make_halves(bool first_takes_head) {
  const Problem p = testing::small_problem(kRanks, Pass::kForward, Mask::kFull, Partition::kZigzag);
  ScheduleBuilder b(p);
  std::vector<ValueId> q, whole, half[2], sum;
  for (Rank r = 0; r < kRanks; ++r) {
    q.push_back(b.input(r, Tensor::kQ, b.chunk_region(r, Tensor::kQ), Dtype::kBf16));
    whole.push_back(b.input(r, Tensor::kKV, b.chunk_region(r, Tensor::kKV), Dtype::kBf16));
    for (Cell piece : {0u, 1u}) {
      const Cell cell = static_cast<Cell>(2 * r) + piece;
      half[piece].push_back(
          b.input(r, Tensor::kKV, b.region(std::span(&cell, 1), {0, p.shape.kv_heads}), Dtype::kBf16));
    }
  }
  const auto send_all = [&](const std::vector<ValueId>& values, int down, Lane lane) {
    std::vector<TransferId> sent;
    for (Rank r = 0; r < kRanks; ++r) sent.push_back(b.transfer(values[at(r)], (r + kRanks - down) % kRanks, lane));
    return sent;
  };
  const std::vector<TransferId> moved[] = {send_all(whole, 1, 1), send_all(half[0], 2, 1), send_all(half[1], 2, 2)};
  for (Rank r = 0; r < kRanks; ++r)
    sum.push_back(b.declare(r, Tensor::kO, b.chunk_region(r, Tensor::kO), Dtype::kFp32));

  for (Rank r = 0; r < kRanks; ++r) {
    const std::uint32_t row = b.add_row(AttendRow{q[at(r)], sum[at(r)]});
    b.attend(r, {row, b.add_column(whole[at(r)]), 1, 1});
    std::vector<std::uint32_t> column;
    for (int i = 0; i < 3; ++i) {
      const TransferId received = moved[i][at((r + (i == 0 ? 1 : 2)) % kRanks)];
      b.exchange(r, std::vector{moved[i][at(r)], received});
      column.push_back(b.add_column(b.made(received)));
      if (i == 0) b.attend(r, {row, column[0], 1, 1});
    }
    b.attend(r, {row, column[1], 1, 1});
    b.attend(r, {row, column[2], 1, 1});
    b.output(b.combine(std::vector{sum[at(r)]}, Dtype::kBf16));
  }

  Halves made{b.finish(), {}, {}, {}};
  Schedule& s = made.schedule;
  // All values but the halves have bytes of their own.
  for (ValueId v = 0; v < s.values.size(); ++v) s.offset.push_back(4096 * std::uint64_t{v});
  for (Rank r = 0; r < kRanks; ++r) {
    const auto made_by = [&](int i) { return s.transfers[moved[i][at((r + (i == 0 ? 1 : 2)) % kRanks)]].made; };
    const std::uint64_t begin = s.offset[made_by(0)], length = s.bytes(made_by(1));
    s.offset[made_by(first_takes_head ? 1 : 2)] = begin;
    s.offset[made_by(first_takes_head ? 2 : 1)] = begin + length;
    const OpId ops = s.ops_begin(r);  // attend own, exchange, attend whole, exchange, exchange, …
    made.attends_whole.push_back(ops + 2);
    made.receives_first.push_back(ops + 3);
    made.receives_second.push_back(ops + 4);
  }
  for (ValueId v = 0; v < s.values.size(); ++v) s.peak_bytes = std::max(s.peak_bytes, s.offset[v] + s.bytes(v));
  return made;
}

class PartlyShared : public ::testing::TestWithParam<bool> {};

/// Both halves must wait until the whole has been attended. The second is on another lane, where the first one's wait
/// has no effect.
TEST_P(PartlyShared, EveryPartIsWaitedFor) {
  Halves h = make_halves(GetParam());
  for (Rank r = 0; r < kRanks; ++r) {
    h.schedule.waits.push_back({h.receives_first[at(r)], h.attends_whole[at(r)]});
    h.schedule.waits.push_back({h.receives_second[at(r)], h.attends_whole[at(r)]});
  }
  for (const Finding& finding : verify(h.schedule)) ADD_FAILURE() << finding.what;
  for (std::size_t i = 0; i < h.schedule.waits.size(); ++i) {
    Schedule hasty = h.schedule;
    hasty.waits.erase(hasty.waits.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THAT(verify(hasty), ::testing::Not(::testing::IsEmpty())) << "without wait " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(VerifyMemory, PartlyShared, ::testing::Bool());

}  // namespace
}  // namespace meshattn
