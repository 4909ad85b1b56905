#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/schedule_builder.h"
#include "tests/support/interpreter/interpreter.h"
#include "tests/support/plans.h"

/// One broken rule a test: `verify` names it.
namespace meshattn {
namespace {

using ::testing::HasSubstr;
using testing::interpret;
using testing::simple_plan;
using testing::small_problem;

Schedule tile_2x2(Pass pass, Mask mask = Mask::kFull) {
  return mesh(small_problem(4, pass, mask), simple_plan({2, 2}, pass), Dtype::kBf16);
}

std::string all_of(const Schedule& s) {
  std::string text;
  for (const Finding& f : verify(s)) text.append(f.what).append("\n");
  return text;
}

template <typename Kind>
OpId find_op(const Schedule& s, Rank rank, int which = 0) {
  for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)
    if (std::holds_alternative<Kind>(s.ops[op]) && which-- == 0) return op;
  ADD_FAILURE() << "rank " << rank << " has no such op";
  return 0;
}

template <typename Kind>
Kind& get_op(Schedule& s, Rank rank, int which = 0) {
  return std::get<Kind>(s.ops[find_op<Kind>(s, rank, which)]);
}

void erase_op(Schedule& s, OpId op) {
  const auto rank = static_cast<std::size_t>(s.rank_of(op));
  s.ops.erase(s.ops.begin() + op);
  for (std::size_t r = rank + 1; r < s.first_op.size(); ++r) --s.first_op[r];
}

void insert_op(Schedule& s, Rank rank, OpId at, Op op) {
  s.ops.insert(s.ops.begin() + at, op);
  for (std::size_t r = static_cast<std::size_t>(rank) + 1; r < s.first_op.size(); ++r) ++s.first_op[r];
}

/// A region of the first head only.
RegionId first_head(Schedule& s, ValueId v) {
  const Region r = s.region(v);
  return s.regions.intern(std::vector(r.cells.begin(), r.cells.end()), {0, 1});
}

TEST(VerifyRules, WholeSchedulesArePassed) {
  EXPECT_EQ(all_of(tile_2x2(Pass::kForward)), "");
  EXPECT_EQ(all_of(tile_2x2(Pass::kBackward)), "");
}

TEST(VerifyRules, FindingsNameRankOpAndValueAndAreLimited) {
  Schedule s = tile_2x2(Pass::kForward);
  // Rank 2 lists: row in, column in, rectangle of row 1. The rectangle goes before the row's exchange.
  const OpId exchange = find_op<Exchange>(s, 2), attend = find_op<Attend>(s, 2);
  std::swap(s.ops[exchange], s.ops[attend]);
  const ValueId q = s.rows_of(std::get<Attend>(s.ops[exchange]))[0].q;
  const std::vector<Finding> found = verify(s);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].rank, 2);
  EXPECT_EQ(found[0].op, exchange);
  EXPECT_EQ(found[0].value, q);
  EXPECT_EQ(found[0].what, "Q value " + std::to_string(q) + " is read by op " + std::to_string(exchange) +
                               " of rank 2 before it is made");
  s.ops.clear();
  std::ranges::fill(s.first_op, 0);
  EXPECT_EQ(verify(s, 3).size(), 3u);
  EXPECT_EQ(verify(s, 20).size(), 20u);
}

TEST(VerifyRules, DataFlow) {
  Schedule s = tile_2x2(Pass::kForward);
  insert_op(s, 1, find_op<Combine>(s, 1), s.ops[find_op<Combine>(s, 1)]);
  EXPECT_THAT(all_of(s), HasSubstr("is made twice, by op"));
  EXPECT_THAT(all_of(s), HasSubstr("is a partial and read twice, by op"));

  s = tile_2x2(Pass::kForward);
  std::swap(s.ops[find_op<Attend>(s, 0)], s.ops[find_op<Combine>(s, 0)]);
  EXPECT_THAT(all_of(s), HasSubstr("before it is made"));

  // Row 0 is attended in two halves: the second half comes after the sum was read.
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

TEST(VerifyRules, MadeValuesHaveLargerIds) {
  ScheduleBuilder b(small_problem(1, Pass::kForward));
  const RegionId q_rows = b.chunk_region(0, Tensor::kQ), kv_rows = b.chunk_region(0, Tensor::kKV);
  const ValueId sum = b.declare(0, Tensor::kO, q_rows, Dtype::kFp32);
  const ValueId q = b.input(0, Tensor::kQ, q_rows, Dtype::kBf16), kv = b.input(0, Tensor::kKV, kv_rows, Dtype::kBf16);
  b.attend(0, {b.add_row(AttendRow{q, sum}), b.add_column(kv), 1, 1});
  b.output(b.combine(std::vector{sum}, Dtype::kBf16));
  EXPECT_THAT(all_of(b.finish()), HasSubstr("made values have larger ids"));
}

TEST(VerifyRules, Operands) {
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
  EXPECT_THAT(all_of(s), HasSubstr("is never attended"));  // the heads attended are those of the sum

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

TEST(VerifyRules, CombinesAndTransfers) {
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

TEST(VerifyRules, Coverage) {
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

TEST(VerifyRules, InputsAndOutputs) {
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

/// One rank with two query cells: the gradients that they give to the same keys end in two outputs.
TEST(VerifyRules, TwoOutputsOfTheSameKeys) {
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

TEST(VerifyRules, BothEndsOfATransfer) {
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

  // Backward, a row hop receives and sends Q, then dO, then delta from and to the same rank in one exchange.
  s = tile_2x2(Pass::kBackward);
  const std::uint32_t first = get_op<Exchange>(s, 0).first;
  std::swap(s.exchange_transfers[first], s.exchange_transfers[first + 2]);
  EXPECT_THAT(all_of(s), HasSubstr("on lane 1 in another order than they are sent in"));
}

/// A ring in which each rank keeps received keys in `slots` slots: what arrives with hop s goes where hop s − slots
/// was. `together`: a rank sends and receives in one exchange; else it sends first, and even ranks send on lane 1, odd
/// ones on lane 2, so that (n even) nobody's lanes tie its sends to its receives.
Schedule slotted_ring(int n, int slots, bool together) {
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
      place(4 + hop % slots);
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

TEST(VerifyRules, ARingWithTwoSlotsRuns) {
  std::mt19937 random(4);
  Schedule s = slotted_ring(5, 2, true);
  // Hop s takes the slot of hop s − 2, which hop s − 1 sent on (same lane) and attend s − 2 reads.
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

TEST(VerifyRules, ARingWithOneSlotDeadlocks) {
  std::mt19937 random(5);
  Schedule s = slotted_ring(4, 1, false);
  // What hop s brings takes the place of what hop s sends: a rank receives when it has sent, and so do all.
  for (Rank r = 0; r < 4; ++r)
    for (int hop = 1; hop < 4; ++hop) {
      s.waits.push_back({hop_of(s, r, hop, false, true), hop_of(s, r, hop, false, false)});
      if (hop > 1) s.waits.push_back({hop_of(s, r, hop, false, true), find_op<Attend>(s, r, hop - 1)});
    }
  EXPECT_THAT(all_of(s), HasSubstr("deadlock: op"));
  EXPECT_THAT(interpret(s, 1, random), HasSubstr("stuck"));
  // Received in the exchange that sends: nobody waits, but what is sent is overwritten.
  s = slotted_ring(4, 1, true);
  for (Rank r = 0; r < 4; ++r)
    for (int hop = 2; hop < 4; ++hop)
      s.waits.push_back({hop_of(s, r, hop, true, true), find_op<Attend>(s, r, hop - 1)});
  EXPECT_THAT(all_of(s), HasSubstr("may still use"));
  EXPECT_NE(interpret(s, 1, random), "");
}

TEST(VerifyRules, Memory) {
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
  s.offset.pop_back();
  EXPECT_THAT(all_of(s), HasSubstr("values have an offset in memory"));
  s = good;
  s.waits = {{2, 1}, {1, 0}};
  EXPECT_THAT(all_of(s), HasSubstr("is out of order"));
  s.waits = {{1, 2}};
  EXPECT_THAT(all_of(s), HasSubstr("op 1 of rank 0 waits for op 2, which is not listed before it on its rank"));
  s.waits = {{s.ops_begin(1), 0}};
  EXPECT_THAT(all_of(s), HasSubstr("waits for op 0, which is not listed before it on its rank"));
}

/// Two ranks, four query heads, two key/value heads: rank r attends heads 2r and 2r + 1 of all queries to all keys, as
/// Ulysses does. Owned values are there in slices of heads, so blocks are counted by head.
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

TEST(VerifyRules, SlicesOfHeads) {
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
