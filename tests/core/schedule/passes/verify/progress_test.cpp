#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

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

TEST(VerifyProgress, BothEndsOfATransfer) {
  Schedule s = tile_2x2(Pass::kForward);
  --get_op<Exchange>(s, 0).count;
  EXPECT_THAT(all_of(s), HasSubstr("is in no exchange of rank 0, which sends it"));

  s = tile_2x2(Pass::kForward);
  insert_op(s, 0, s.ops_begin(0), s.ops[find_op<Exchange>(s, 0)]);
  EXPECT_THAT(all_of(s), HasSubstr("twice by rank 0, the second time by op 1"));

  s = tile_2x2(Pass::kForward);
  get_op<Exchange>(s, 0).count = 0;
  EXPECT_THAT(all_of(s), HasSubstr("exchanges nothing"));

  s = tile_2x2(Pass::kForward);
  s.transfers[s.exchange_transfers[get_op<Exchange>(s, 0).first]].lane = 2;
  EXPECT_THAT(all_of(s), HasSubstr("travels on lane 1, others of the exchange on 2"));
  s.transfers[0].lane = kComputeLane;
  EXPECT_THAT(all_of(s), HasSubstr("is on the compute lane"));

  // In a backward pass, one exchange of a row hop receives Q, dO and delta from one rank and sends them to another.
  s = tile_2x2(Pass::kBackward);
  const std::uint32_t first = get_op<Exchange>(s, 0).first;
  std::swap(s.exchange_transfers[first], s.exchange_transfers[first + 2]);
  EXPECT_THAT(all_of(s), HasSubstr("on lane 1 in another order than they are sent in"));
}

/// A ring in which each rank keeps received keys in `buffers` buffers: hop s overwrites the keys of hop s − buffers.
/// With `together` a rank sends and receives in one exchange. Otherwise it sends first; even ranks send on lane 1 and
/// odd ones on lane 2, so that (for n even) no lane has both sends and receives of a rank.
Schedule slotted_ring(int n, int buffers, bool together) {
  ScheduleBuilder b(small_problem(n, Pass::kForward, Mask::kFull, Partition::kContiguous, 1, 1));
  std::vector<std::vector<TransferId>> sent;  // by hop and rank
  std::vector<ValueId> q, held, sum;
  std::vector<std::uint64_t> offset;
  const auto place = [&](int at) { offset.push_back(static_cast<std::uint64_t>(at) * 256); };
  for (Rank r = 0; r < n; ++r) {
    q.push_back(b.input(r, Tensor::kQ, b.chunk_region(r, Tensor::kQ), Dtype::kBf16)), place(0);
    held.push_back(b.input(r, Tensor::kKV, b.chunk_region(r, Tensor::kKV), Dtype::kBf16)), place(1);
  }
  std::vector<std::uint32_t> column;
  for (ValueId kv : held) column.push_back(b.add_column(kv));
  for (int hop = 1; hop < n; ++hop) {
    sent.emplace_back();
    for (Rank r = 0; r < n; ++r) {
      const auto lane = static_cast<Lane>(together ? 1 : 1 + r % 2);
      sent.back().push_back(b.transfer(held[static_cast<std::size_t>(r)], (r + 1) % n, lane));
    }
    for (Rank r = 0; r < n; ++r) {
      place(4 + hop % buffers);
      held[static_cast<std::size_t>((r + 1) % n)] = b.made(sent.back()[static_cast<std::size_t>(r)]);
    }
    for (ValueId kv : held) column.push_back(b.add_column(kv));
  }
  for (Rank r = 0; r < n; ++r) {
    sum.push_back(b.declare(r, Tensor::kO, b.chunk_region(r, Tensor::kO), Dtype::kFp32)), place(2);
    b.add_row(AttendRow{q[static_cast<std::size_t>(r)], sum.back()});
  }
  for (Rank r = 0; r < n; ++r) {
    const auto at = static_cast<std::size_t>(r), from = static_cast<std::size_t>((r + n - 1) % n);
    for (std::size_t hop = 0; hop < static_cast<std::size_t>(n); ++hop) {
      if (hop > 0 && together) b.exchange(r, std::vector{sent[hop - 1][at], sent[hop - 1][from]});
      if (hop > 0 && !together) b.exchange(r, std::vector{sent[hop - 1][at]});
      if (hop > 0 && !together) b.exchange(r, std::vector{sent[hop - 1][from]});
      b.attend(r, {static_cast<std::uint32_t>(r), column[hop * static_cast<std::size_t>(n) + at], 1, 1});
    }
    b.output(b.combine(std::vector{sum[at]}, Dtype::kBf16)), place(3);
  }
  Schedule s = b.finish();
  s.offset = offset;
  for (ValueId v = 0; v < s.values.size(); ++v) s.peak_bytes = std::max(s.peak_bytes, s.offset[v] + s.bytes(v));
  return s;
}

/// Hop `hop` on `rank`, in a schedule that is a ring with separate or joint exchanges.
OpId hop_of(const Schedule& s, Rank rank, int hop, bool together, bool receives) {
  return find_op<Exchange>(s, rank, together ? hop - 1 : 2 * (hop - 1) + (receives ? 1 : 0));
}

TEST(VerifyProgress, ARingWithTwoSlotsRuns) {
  std::mt19937 random(4);
  Schedule s = slotted_ring(5, 2, true);
  // Hop s overwrites the keys of hop s − 2, which hop s − 1 sends (same lane) and attend s − 2 reads.
  for (Rank r = 0; r < 5; ++r)
    for (int hop = 3; hop < 5; ++hop)
      s.waits.push_back({hop_of(s, r, hop, true, true), find_op<Attend>(s, r, hop - 2)});
  EXPECT_EQ(all_of(s), "");
  EXPECT_EQ(interpret(s, 50, random), "");
  for (std::size_t i = 0; i < s.waits.size(); ++i) {
    Schedule hasty = s;
    hasty.waits.erase(hasty.waits.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THAT(all_of(hasty), HasSubstr("may still use"));
    EXPECT_NE(interpret(hasty, 50, random), "");
  }
}

TEST(VerifyProgress, ARingWithOneSlotDeadlocks) {
  std::mt19937 random(5);
  Schedule s = slotted_ring(4, 1, false);
  // Hop s overwrites the keys that it sends: every rank receives only after it has sent.
  for (Rank r = 0; r < 4; ++r)
    for (int hop = 1; hop < 4; ++hop) {
      s.waits.push_back({hop_of(s, r, hop, false, true), hop_of(s, r, hop, false, false)});
      if (hop > 1) s.waits.push_back({hop_of(s, r, hop, false, true), find_op<Attend>(s, r, hop - 1)});
    }
  EXPECT_THAT(all_of(s), HasSubstr("deadlock: op"));
  EXPECT_THAT(interpret(s, 1, random), HasSubstr("stuck"));
  // With one exchange there is no deadlock, but the keys being sent are overwritten.
  s = slotted_ring(4, 1, true);
  for (Rank r = 0; r < 4; ++r)
    for (int hop = 2; hop < 4; ++hop)
      s.waits.push_back({hop_of(s, r, hop, true, true), find_op<Attend>(s, r, hop - 1)});
  EXPECT_THAT(all_of(s), HasSubstr("may still use"));
  EXPECT_NE(interpret(s, 1, random), "");
}

}  // namespace
}  // namespace meshattn
