#include "core/execution/cpu/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <limits>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/base/error.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/schedule_builder.h"
#include "tests/support/proof.h"

namespace meshattn::cpu {
namespace {

using meshattn::testing::dense_tensors;
using meshattn::testing::error_of;

constexpr Partition kPartitions[] = {Partition::kContiguous, Partition::kStriped, Partition::kZigzag};
const Mask kMasks[] = {Mask::kFull, Mask::kCausal};
constexpr Pass kPasses[] = {Pass::kForward, Pass::kBackward};

/// Everything received first, then row by row, each sent on as soon as it is done.
OrderedTile row_by_row(Tile tile, Pass pass) {
  OrderedTile plan{tile, pass, {}, 0, 0, 0};
  for (int s = 1; s < tile.rows; ++s) plan.steps.emplace_back(Hop::kRowIn);
  for (int t = 1; t < tile.columns; ++t) plan.steps.emplace_back(Hop::kColumnIn);
  for (int s = 1; s <= tile.rows; ++s) {
    const int row = s % tile.rows;
    plan.steps.emplace_back(Rectangle{row, row + 1, 0, tile.columns});
    if (row != 0) plan.steps.emplace_back(Hop::kRowOut);
  }
  if (pass == Pass::kBackward)
    for (int t = 1; t < tile.columns; ++t) plan.steps.emplace_back(Hop::kColumnOut);
  return plan;
}

/// Every tile of so many ranks, both passes, in every order that we have: where waiting for hops takes long, and where
/// computing does.
std::vector<OrderedTile> plans_for(int ranks) {
  const TileBytes bytes{6, 1, 2, 2, 4, 2, 4};
  std::vector<OrderedTile> plans;
  for (Tile tile : tiles_of(ranks))
    for (Pass pass : kPasses) {
      plans.push_back(row_by_row(tile, pass));
      for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal})
        for (double block : {0.5, 3.0}) {
          const double column_out = pass == Pass::kBackward ? 4 : 0;
          plans.push_back(order_tile(tile, pass, order, {1, 2, 2, column_out, block}, bytes));
        }
    }
  return plans;
}

/// A ring that attends each key/value chunk on its own, so that a chunk can be forgotten before the next ones come.
OrderedTile column_by_column(int ranks) {
  OrderedTile plan{{1, ranks}, Pass::kForward, {}, 0, 0, 0};
  for (int t = 1; t < ranks; ++t) plan.steps.emplace_back(Hop::kColumnIn);
  for (int t = 0; t < ranks; ++t) plan.steps.emplace_back(Rectangle{0, 1, t, t + 1});
  return plan;
}

Schedule placed(Schedule schedule) {
  assign_memory(schedule);
  return schedule;
}

bool same(const Tensors& a, const Tensors& b) {
  return a.o == b.o && a.lse == b.lse && a.dq == b.dq && a.dk == b.dk && a.dv == b.dv;
}

std::string name_of(const Problem& p, Tile tile) {
  return fmt::format("{}x{} {} {} {} {} of {} tokens, {} heads over {}, batch {}", tile.rows, tile.columns,
                     name_of(p.partition), name_of(p.mask), name_of(p.pass), p.shape.seq_q, p.shape.seq_kv,
                     p.shape.heads, p.shape.kv_heads, p.shape.batch);
}

/// Chunks of equal length; of lengths that differ, with shared key/value heads; and short queries behind a cached
/// prefix, two of them in a batch.
std::vector<AttentionShape> shapes_for(int n) {
  return {{4 * n, 4 * n, 1, 4, 4, 4, Dtype::kBf16},
          {3 * n + 1, 3 * n + 1, 1, 4, 2, 4, Dtype::kFp32},
          {2 * n + 1, 5 * n + 3, 2, 4, 1, 4, Dtype::kBf16}};
}

/// Calls f(problem, tensors with their dense results) for every shape, mask, partition and pass.
template <typename F>
void for_each_problem(int ranks, F&& f) {
  for (const AttentionShape& shape : shapes_for(ranks))
    for (const Mask& mask : kMasks) {
      const Tensors dense = dense_tensors(shape, mask);
      for (Partition partition : kPartitions)
        for (Pass pass : kPasses) f(Problem{shape, mask, partition, pass, ranks}, dense);
    }
}

class EveryTile : public ::testing::TestWithParam<int> {};

TEST_P(EveryTile, GivesWhatDenseAttentionGives) {
  const std::vector<OrderedTile> plans = plans_for(GetParam());
  for_each_problem(GetParam(), [&](const Problem& p, const Tensors& dense) {
    Dtype wire = Dtype::kFp32;
    for (const OrderedTile& plan : plans) {
      if (plan.pass != p.pass) continue;
      const Schedule s = placed(prune(mesh(p, plan, wire)));
      EXPECT_THAT(verify(s), ::testing::IsEmpty()) << name_of(p, plan.tile);
      EXPECT_LE(error_of(run(s, dense), dense, p.pass), 1e-12) << name_of(p, plan.tile);
      EXPECT_LE(error_of(run(s, dense, Precision::kFp32), dense, p.pass), 1e-5) << name_of(p, plan.tile);
      wire = wire == Dtype::kFp32 ? Dtype::kBf16 : Dtype::kFp32;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(CpuExecutor, EveryTile, ::testing::Range(1, 13));

/// The plan that keeps to the least memory for which there is one.
OrderedTile tightest(Tile tile, Pass pass, const TileBytes& bytes) {
  const TileCosts costs{1, 2, 2, pass == Pass::kBackward ? 4.0 : 0.0, 1};
  OrderedTile plan = order_tile(tile, pass, Order::kOptimal, costs, bytes);
  while (auto tighter = order_tile_within(tile, pass, Order::kOptimal, costs, bytes, plan.peak_bytes - 1))
    plan = std::move(*tighter);
  return plan;
}

TEST(CpuExecutor, TheTightestPlansRunToo) {
  for (Tile tile : {Tile{1, 8}, Tile{8, 1}, Tile{2, 4}, Tile{4, 2}})
    for (Pass pass : kPasses) {
      const OrderedTile plan = tightest(tile, pass, {6, 1, 2, 2, 4, 2, 4});
      for_each_problem(8, [&](const Problem& p, const Tensors& dense) {
        if (p.pass != pass) return;
        const Schedule s = placed(prune(mesh(p, plan, Dtype::kFp32)));
        EXPECT_LE(error_of(run(s, dense), dense, pass), 1e-12) << name_of(p, tile);
        EXPECT_LE(error_of(run(s, dense, Precision::kFp64, Threading::kPerLane), dense, pass), 1e-12)
            << name_of(p, tile);
      });
    }
}

TEST(CpuExecutor, BlocksThatTheMaskEmptiesAddNothing) {
  for_each_problem(4, [](const Problem& p, const Tensors& dense) {
    for (Tile tile : tiles_of(p.ranks)) {
      const Schedule s = placed(mesh(p, row_by_row(tile, p.pass), Dtype::kFp32));
      EXPECT_LE(error_of(run(s, dense), dense, p.pass), 1e-12) << name_of(p, tile);
    }
  });
}

TEST(CpuExecutor, ThreadsAndTurnsAgreeToTheLastBit) {
  for (int ranks : {1, 4, 6})
    for_each_problem(ranks, [](const Problem& p, const Tensors& dense) {
      for (Tile tile : tiles_of(p.ranks)) {
        const Schedule s = placed(prune(mesh(p, row_by_row(tile, p.pass), Dtype::kBf16)));
        for (Precision precision : {Precision::kFp32, Precision::kFp64}) {
          const Tensors once = run(s, dense, precision, Threading::kSingle);
          EXPECT_TRUE(same(once, run(s, dense, precision, Threading::kSingle))) << name_of(p, tile);
          EXPECT_TRUE(same(once, run(s, dense, precision, Threading::kPerLane))) << name_of(p, tile);
        }
      }
    });
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

TEST(CpuExecutor, ASharedPlaceNeedsItsReuseWait) {
  const Tensors dense = dense_tensors(ring_problem(4).shape, Mask::kFull);
  Schedule s = ring(4);
  spread(s);
  EXPECT_LE(error_of(run(s, dense).o, dense.o), 1e-12);

  // The third chunk comes to where the first lies. Nothing but a wait keeps it from coming before the first is read.
  const auto [first_op, first] = receive(s, 1);
  const auto [third_op, third] = receive(s, 3);
  s.offset[third] = s.offset[first];
  EXPECT_GT(error_of(run(s, dense).o, dense.o), 1e-3);
  s.waits.push_back({third_op, attended(s, first)});
  EXPECT_LE(error_of(run(s, dense).o, dense.o), 1e-12);
  EXPECT_LE(error_of(run(s, dense, Precision::kFp64, Threading::kPerLane).o, dense.o), 1e-12);
}

TEST(CpuExecutor, ValuesThatOverlapSpoilEachOther) {
  const Tensors dense = dense_tensors(ring_problem(4).shape, Mask::kFull);
  // The second chunk is sent on to be the third of another: no order of ops lets the two share even one row, be it the
  // last of the one (V) and the first of the other (K).
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

TEST(CpuExecutor, WithoutItsReuseWaitsARingComesOutWrong) {
  const Tensors dense = dense_tensors(ring_problem(8).shape, Mask::kFull);
  // Issued one after another, hop and block, so that two places serve all chunks received.
  OrderedTile plan{{1, 8}, Pass::kForward, {}, 0, 0, 0};
  for (int t = 0; t < 8; ++t) {
    if (t > 0) plan.steps.emplace_back(Hop::kColumnIn);
    plan.steps.emplace_back(Rectangle{0, 1, t, t + 1});
  }
  Schedule s = placed(mesh(ring_problem(8), plan, Dtype::kFp32));
  EXPECT_LT(s.peak_bytes, placed(ring(8)).peak_bytes);
  ASSERT_FALSE(s.waits.empty());
  EXPECT_LE(error_of(run(s, dense).o, dense.o), 1e-12);
  s.waits.clear();
  EXPECT_GT(error_of(run(s, dense).o, dense.o), 1e-3);
}

TEST(CpuExecutor, HeadsAndCellsMayTravelAndBeSummedApart) {
  // Two ranks, zigzag: each sends its KV as two halves of the heads, keeps the sums of the two halves of the query
  // heads apart, and unites them in its output.
  const AttentionShape shape{10, 10, 2, 4, 2, 4, Dtype::kBf16};
  const Problem p{shape, Mask::kCausal, Partition::kZigzag, Pass::kForward, 2};
  const Tensors dense = dense_tensors(shape, p.mask);
  ScheduleBuilder b(p);
  const RegionId chunk_q[] = {b.chunk_region(0, Tensor::kQ), b.chunk_region(1, Tensor::kQ)};
  ValueId q[2], kv[2];
  for (Rank r : {0, 1}) q[r] = b.input(r, Tensor::kQ, chunk_q[r], shape.dtype);
  for (Rank r : {0, 1}) kv[r] = b.input(r, Tensor::kKV, b.chunk_region(r, Tensor::kKV), shape.dtype);
  std::vector<TransferId> sent;
  std::vector<std::pair<ValueId, RegionId>> narrowed;
  for (Rank r : {0, 1})
    for (int half : {0, 1}) {
      sent.push_back(b.transfer(kv[r], 1 - r, 1));
      const std::vector<Cell> cells{static_cast<Cell>(2 * r), static_cast<Cell>(2 * r + 1)};
      narrowed.emplace_back(b.made(sent.back()), b.region(cells, {half, half + 1}));
    }
  for (Rank r : {0, 1}) {
    b.exchange(r, sent);
    const std::vector<Cell> cells{static_cast<Cell>(2 * r), static_cast<Cell>(2 * r + 1)};
    std::vector<ValueId> halves;
    for (int half : {0, 1}) {
      halves.push_back(b.declare(r, Tensor::kO, b.region(cells, {2 * half, 2 * half + 2}), Dtype::kFp32));
      const std::uint32_t row = b.add_row(AttendRow{q[r], halves.back()});
      const std::uint32_t column = b.add_column(kv[r]);
      b.add_column(b.made(sent[static_cast<std::size_t>(2 * (1 - r) + half)]));
      b.attend(r, {row, column, 1, 2});
    }
    const ValueId whole = b.combine(halves, shape.dtype);
    narrowed.emplace_back(whole, chunk_q[r]);
    b.output(whole);
  }
  Schedule s = b.finish();
  for (auto [value, region] : narrowed) s.values[value].region = region;
  assign_memory(s);
  for (Threading threading : {Threading::kSingle, Threading::kPerLane})
    EXPECT_LE(error_of(run(s, dense, Precision::kFp64, threading), dense, p.pass), 1e-12);
}

TEST(CpuExecutor, ADeadlockIsAnErrorThatNamesWhoWaits) {
  const Tensors dense = dense_tensors(ring_problem(4).shape, Mask::kFull);
  // Rank 0 sends on the second chunk before it has received the first: each of its neighbours waits for the other hop.
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

TEST(CpuExecutor, RefusesSchedulesWithoutMemoryAndTensorsOfAnotherShape) {
  const Tensors dense = dense_tensors(ring_problem(2).shape, Mask::kFull);
  Schedule s = ring(2);
  EXPECT_THROW((void)run(s, dense), InvalidSchedule);
  assign_memory(s);
  Tensors small = dense;
  small.v.pop_back();
  // V is 8 tokens × 2 heads × 4: 64 numbers, of which one is gone.
  EXPECT_THAT([&] { (void)run(s, small); },
              ::testing::ThrowsMessage<InvalidInput>(::testing::HasSubstr("KV is given with 63 numbers")));
  s.offset.front() = s.peak_bytes - 2;
  EXPECT_THROW((void)run(s, dense), InvalidSchedule);
  s.offset.front() = 1;
  EXPECT_THROW((void)run(s, dense), InvalidSchedule);
}

}  // namespace
}  // namespace meshattn::cpu
