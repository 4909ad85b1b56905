#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/execution/cost_model.h"
#include "core/execution/cpu/executor.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/schedule_builder.h"
#include "core/schedule/text.h"
#include "tests/support/interpreter/interpreter.h"
#include "tests/support/plans.h"
#include "tests/support/proof.h"
#include "tests/support/ulysses.h"

/// An op reads of each operand the part that its result asks for.
namespace meshattn {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::interpret;
using testing::small_problem;
using testing::ulysses;

std::string all_of(const Schedule& s) {
  std::string text;
  for (const Finding& f : verify(s)) text.append(f.what).append("\n");
  return text;
}

struct Heads {
  int ranks, q, kv;
};
/// Each slice has key/value heads of its own, one for several query heads, or shares them with other slices: whole (one
/// head for all four ranks), or by halves (slices of 3 heads of which 2 share a key/value head).
constexpr Heads kHeads[] = {{2, 4, 4}, {2, 4, 2}, {2, 2, 1}, {2, 6, 3}, {4, 4, 4}, {4, 8, 2}, {4, 4, 1}};

/// Calls visit(problem) for heads × masks and partitions × passes.
template <typename Visit>
void for_each_problem(Visit&& visit) {
  for (const Heads& h : kHeads)
    for (Mask mask : {Mask::kFull, Mask::kCausal})
      for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
        for (Pass pass : {Pass::kForward, Pass::kBackward})
          visit(Problem{
              {5 * h.ranks + 1, 5 * h.ranks + 3, 2, h.q, h.kv, 4, Dtype::kBf16}, mask, partition, pass, h.ranks});
}

std::string name_of(const Problem& p) {
  return std::to_string(p.ranks) + " ranks, " + std::to_string(p.shape.heads) + "/" + std::to_string(p.shape.kv_heads) +
         " heads, " + std::string(name_of(p.mask)) + ", " + std::string(name_of(p.partition)) + ", " +
         std::string(name_of(p.pass));
}

TEST(UlyssesParts, UlyssesIsProvedAndGivesWhatDenseAttentionGives) {
  for_each_problem([](const Problem& p) {
    cpu::Tensors dense = cpu::random_tensors(p.shape, 11);
    cpu::dense_forward(p.shape, p.mask, dense);
    cpu::dense_backward(p.shape, p.mask, dense);
    for (Schedule s : {ulysses(p), prune(ulysses(p))}) {
      assign_memory(s);
      EXPECT_EQ(all_of(s), "") << name_of(p);
      for (cpu::Threading threading : {cpu::Threading::kSingle, cpu::Threading::kPerLane})
        EXPECT_LE(error_of(cpu::run(s, dense, cpu::Precision::kFp64, threading), dense, p.pass), 1e-12) << name_of(p);
    }
  });
}

TEST(UlyssesParts, UlyssesIsTheSameAfterItsText) {
  for_each_problem([](const Problem& p) {
    Schedule s = ulysses(p);
    assign_memory(s);
    const std::string text = write_text(s);
    const Schedule again = read_text(text, "ulysses");
    EXPECT_EQ(write_text(again), text) << name_of(p);
    EXPECT_EQ(all_of(again), "") << name_of(p);
  });
}

/// Every value fits into 256 bytes, the unit of the arena. A rank attends with its own Q and KV, three slices of each
/// and last, once, the sum that all four rows share: 8 tokens of one head, 8 bytes each with their log-sum-exp. What
/// comes after that takes the places of the slices.
TEST(UlyssesParts, TheArenaHoldsASharedSumOnce) {
  Schedule s = ulysses(small_problem(4, Pass::kForward, Mask::kFull, Partition::kContiguous, 4, 4));
  assign_memory(s);
  EXPECT_EQ(s.peak_bytes, (2 + 2 * 3) * 256u + 8 * 8);
}

/// 1,024 tokens a chunk, 32 heads, 4 ranks: a slice has 8 heads of 4 chunks.
TEST(UlyssesParts, AnOpCostsWhatItReads) {
  GpuProfile gpu;
  gpu.attention_flops_per_s = 1e12;
  gpu.combine_bytes_per_s = gpu.accumulate_bytes_per_s = 1e12;
  for (Mask mask : {Mask::kFull, Mask::kCausal})
    for (Pass pass : {Pass::kForward, Pass::kBackward}) {
      const Problem p{{4096, 4096, 1, 32, 8, 128, Dtype::kBf16}, mask, Partition::kContiguous, pass, 4};
      const Schedule s = ulysses(p);
      const std::vector<double> seconds = CostModel(gpu, p).times(s).seconds;
      const double rows = 1024 * 8;  // of one chunk's slice
      std::vector<double> merges, deltas;
      for (OpId op = s.ops_begin(1); op < s.ops_end(1); ++op) {
        if (std::holds_alternative<Combine>(s.ops[op])) merges.push_back(seconds[op]);
        if (std::holds_alternative<Delta>(s.ops[op])) deltas.push_back(seconds[op]);
        // Own values have all heads, of which the op attends a quarter; no sum has begun before.
        if (std::holds_alternative<Attend>(s.ops[op]) || std::holds_alternative<AttendBackward>(s.ops[op])) {
          EXPECT_NEAR(seconds[op], flops(total_pairs(p) * 8, 128, pass) / 1e12, 1e-12);
        }
      }
      // fp32 O of 512 bytes + 4 of log-sum-exp a row becomes bf16 of 256 + 4, first of three chunks, then of its own.
      if (pass == Pass::kForward) {
        ASSERT_EQ(merges.size(), 2u);
        EXPECT_DOUBLE_EQ(merges[0], 3 * rows * (516 + 260) / 1e12);
        EXPECT_DOUBLE_EQ(merges[1], rows * (516 + 260) / 1e12);
      } else {
        // dQ the same without log-sum-exp; then dKV of 2 · 2 heads comes from the four slices, one in fp32, of 2 each:
        // 1,024 tokens · 2 heads · 1,024 bytes in fp32 and 512 in bf16. Delta is of a slice: O 260, dO 256, delta 8.
        ASSERT_EQ(merges.size(), 4u);
        EXPECT_DOUBLE_EQ(merges[2], rows * (512 + 256) / 1e12);
        EXPECT_DOUBLE_EQ(merges[3], 1024 * 2 * (1024 + 3 * 512 + 4 * 512) / 1e12);
        EXPECT_THAT(deltas, ::testing::Each(::testing::DoubleEq(rows * (260 + 256 + 8) / 1e12)));
      }
    }
}

/// Rank 0 attends both chunks, to its own keys and to those of rank 1, into a sum each; cells 0 and 1 of the two sums
/// are then merged apart. What the causal mask leaves: cell 0 gets nothing from the second sum.
Schedule two_sums(Dtype dtype) {
  Problem p = small_problem(2, Pass::kForward, Mask::kCausal);
  p.shape.dtype = dtype;
  ScheduleBuilder b(p);
  const Cell both[] = {0, 1};
  ValueId q[2], kv[2];
  for (Rank r : {0, 1}) q[r] = b.input(r, Tensor::kQ, b.chunk_region(r, Tensor::kQ), dtype);
  for (Rank r : {0, 1}) kv[r] = b.input(r, Tensor::kKV, b.chunk_region(r, Tensor::kKV), dtype);
  const std::vector<TransferId> in{b.transfer(q[1], 0, 1), b.transfer(kv[1], 0, 1)};
  for (Rank r : {0, 1}) b.exchange(r, in);
  std::vector<ValueId> sums;
  for (ValueId keys : {kv[0], b.made(in[1])}) {
    sums.push_back(b.declare(0, Tensor::kO, b.region(both, {0, 2}), Dtype::kFp32));
    const std::uint32_t row = b.add_row(AttendRow{q[0], sums.back()});
    b.add_row(AttendRow{b.made(in[0]), sums.back()});
    b.attend(0, {row, b.add_column(keys), 2, 1});
  }
  b.output(b.combine(sums, b.chunk_region(0, Tensor::kO), dtype));
  const std::vector<TransferId> out{b.transfer(b.combine(sums, b.chunk_region(1, Tensor::kO), dtype), 1, 1)};
  for (Rank r : {0, 1}) b.exchange(r, out);
  b.output(b.made(out[0]));
  return b.finish();
}

TEST(UlyssesParts, PruningKeepsPartsApart) {
  std::mt19937 random(8);
  for (Dtype dtype : {Dtype::kBf16, Dtype::kFp32}) {
    const Schedule s = prune(two_sums(dtype));
    EXPECT_EQ(all_of(s), "");
    EXPECT_EQ(interpret(s, 14, random), "");
    // The first sum's cell 0 is merged with nothing, but it is a part: no copy of the sum, even where its dtype is.
    std::vector<std::uint32_t> sources;
    for (const Op& op : s.ops)
      if (const auto* c = std::get_if<Combine>(&op)) sources.push_back(c->source_count);
    EXPECT_EQ(sources, (std::vector<std::uint32_t>{1, 2}));
  }
}

/// One broken rule a test: `verify` names it, and the interpreter finds it wrong.
class UlyssesPartRules : public ::testing::Test {
 protected:
  /// Two ranks of one cell each, four heads, each with key/value heads of its own. Rank 0 has heads 0 and 1 of all.
  static Schedule slices(Pass pass) {
    return ulysses(small_problem(2, pass, Mask::kFull, Partition::kContiguous, 4, 4));
  }
  /// The k-th combine of rank 0; the first casts cell 1 of the sum and the second cell 0.
  static const Combine& combine(const Schedule& s, int k) {
    OpId op = s.ops_begin(0);
    while (!std::holds_alternative<Combine>(s.ops[op]) || k-- > 0) ++op;
    return std::get<Combine>(s.ops[op]);
  }
  static void set_region(Schedule& s, ValueId v, std::vector<Cell> cells, HeadRange heads) {
    s.values[v].region = s.regions.intern(cells, heads);
  }
  void expect_refused(const Schedule& s, const std::string& why) {
    EXPECT_THAT(all_of(s), HasSubstr(why));
    EXPECT_NE(interpret(s, 7, random_), "") << why;
  }

  std::mt19937 random_{9};
};

TEST_F(UlyssesPartRules, APartOfASumIsReadOnce) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Schedule good = slices(pass);
    EXPECT_EQ(all_of(good), "");
    Schedule s = good;
    const int own = pass == Pass::kForward ? 1 : 2;  // backward, dQ and dKV are cast first
    const ValueId made = combine(s, own).made;
    set_region(s, made, {0, 1}, {0, 2});
    EXPECT_THAT(all_of(s), HasSubstr("is a partial whose cell 1, head 0 is read twice, by op"));
    EXPECT_THAT(all_of(s), HasSubstr("is an output, but rank 0 does not own its cells"));
    set_region(s, made, {0, 1}, {1, 2});
    EXPECT_THAT(all_of(s), HasSubstr("is a partial whose cell 0, head 0 is never read"));

    s = good;
    set_region(s, made, {0}, {0, 1});
    expect_refused(s, "is a partial whose cell 0, head 1 is never read");
    // As many (cell, head)s as before: one is read twice and one never.
    set_region(s, made, {0, 1}, {0, 1});
    expect_refused(s, "is a partial whose cell 0, head 1 is never read");
    s = good;
    set_region(s, combine(s, 0).made, {0, 1}, {1, 2});
    expect_refused(s, "is a partial whose cell 0, head 1 is read twice, by op");
  }
}

TEST_F(UlyssesPartRules, PartsThatTransfersTake) {
  // Three ranks: what the first casts of chunks 1 and 2 goes to two owners.
  const Problem p = small_problem(3, Pass::kForward, Mask::kFull, Partition::kContiguous, 3, 3);
  const Schedule good = ulysses(p);
  EXPECT_EQ(all_of(good), "");
  const ValueId cast = combine(good, 0).made;
  std::vector<ValueId> sent;
  for (const Transfer& t : good.transfers)
    if (t.source == cast) sent.push_back(t.made);
  ASSERT_EQ(sent.size(), 2u);
  Schedule s = good;
  set_region(s, sent[1], {1}, {0, 1});
  expect_refused(s, "is a partial whose cell 1, head 0 is read twice, by op");
  s = good;
  set_region(s, sent[1], {1, 2}, {0, 1});  // all of it
  expect_refused(s, "is a partial whose cell 1, head 0 is read twice, by op");
}

TEST_F(UlyssesPartRules, CombiningWhatHasNothingInCommon) {
  Schedule s = slices(Pass::kForward);
  set_region(s, combine(s, 1).made, {0}, {2, 4});
  expect_refused(s, "has no row of O value");
}

TEST_F(UlyssesPartRules, HeadsThatAreAttendedAreThere) {
  Schedule s = slices(Pass::kForward);
  const AttendRow row = s.rows[0], received = s.rows[1];
  set_region(s, row.o, {0, 1}, {0, 4});
  expect_refused(s, "Q value " + std::to_string(received.q) + " lacks heads of O value " + std::to_string(row.o));

  s = slices(Pass::kForward);
  set_region(s, s.columns[1], {1}, {0, 1});  // received
  expect_refused(s, "has heads whose keys some column of the op lacks");

  s = slices(Pass::kBackward);
  set_region(s, s.backward_columns[0].dkv, {0, 1}, {0, 1});
  expect_refused(s, "lacks heads that the rows of the op attend");

  s = slices(Pass::kBackward);
  set_region(s, s.backward_rows[1].d_o, {1}, {0, 1});  // received
  expect_refused(s, "lacks heads of dQ value");
}

TEST_F(UlyssesPartRules, CellsThatAreAttendedAreThere) {
  Schedule s = slices(Pass::kBackward);
  s.backward_rows[1].delta = s.backward_rows[0].delta;
  expect_refused(s, "attends cell 1, which delta value");
  s = slices(Pass::kForward);
  set_region(s, s.rows[0].o, {0}, {0, 2});
  expect_refused(s, "attends cell 1, which O value");
}

TEST_F(UlyssesPartRules, OnlyTheOwnerHasTheGradientOfTheOutput) {
  Schedule s = slices(Pass::kBackward);
  const ValueId d_o = s.backward_rows[0].d_o;
  set_region(s, d_o, {0, 1}, {0, 4});
  expect_refused(s, "dO value " + std::to_string(d_o) + " is an input, but rank 0 does not own its cells");
  s = slices(Pass::kForward);
  const ValueId q = s.rows[0].q;
  set_region(s, q, {0, 1}, {0, 4});
  expect_refused(s, "Q value " + std::to_string(q) + " is an input, but rank 0 does not own its cells");
}

}  // namespace
}  // namespace meshattn
