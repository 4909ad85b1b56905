#include "core/execution/cpu/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <limits>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
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

/// All rows and columns arrive first. Then rows are computed one by one, and each leaves as soon as it is done.
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

/// Every tile of this many ranks, for both passes, by every rule: once with hops that take long, once with blocks that
/// do.
std::vector<OrderedTile> tiles_in_order(int ranks) {
  const TileBytes bytes{6, 1, 2, 2, 4, 2, 4};
  std::vector<OrderedTile> tiles;
  for (Tile tile : tiles_of(ranks))
    for (Pass pass : kPasses) {
      tiles.push_back(row_by_row(tile, pass));
      for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal})
        for (double block : {0.5, 3.0}) {
          const double column_out = pass == Pass::kBackward ? 4 : 0;
          tiles.push_back(order_tile(tile, pass, order, {1, 2, 2, column_out, block}, bytes));
        }
    }
  return tiles;
}

Schedule with_memory(Schedule schedule) {
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

/// Chunks of equal length; of unequal lengths, with shared key/value heads; and two short queries in a batch behind a
/// cached prefix.
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

TEST_P(EveryTile, EqualsDenseAttention) {
  const std::vector<OrderedTile> tiles = tiles_in_order(GetParam());
  for_each_problem(GetParam(), [&](const Problem& p, const Tensors& dense) {
    Dtype wire = Dtype::kFp32;
    for (const OrderedTile& plan : tiles) {
      if (plan.pass != p.pass) continue;
      const Schedule s = with_memory(prune(mesh(p, plan, wire)));
      EXPECT_THAT(verify(s), ::testing::IsEmpty()) << name_of(p, plan.tile);
      EXPECT_LE(error_of(run(s, dense), dense, p.pass), 1e-12) << name_of(p, plan.tile);
      EXPECT_LE(error_of(run(s, dense, Precision::kFp32), dense, p.pass), 1e-5) << name_of(p, plan.tile);
      wire = wire == Dtype::kFp32 ? Dtype::kBf16 : Dtype::kFp32;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(CpuExecutor, EveryTile, ::testing::Range(1, 13));

/// The order with the least memory that there is.
OrderedTile tightest(Tile tile, Pass pass, const TileBytes& bytes) {
  const TileCosts costs{1, 2, 2, pass == Pass::kBackward ? 4.0 : 0.0, 1};
  OrderedTile plan = order_tile(tile, pass, Order::kOptimal, costs, bytes);
  while (auto tighter = order_tile_within(tile, pass, Order::kOptimal, costs, bytes, plan.peak_bytes - 1))
    plan = std::move(*tighter);
  return plan;
}

TEST(CpuExecutor, OrdersOfLeastMemoryRunToo) {
  for (Tile tile : {Tile{1, 8}, Tile{8, 1}, Tile{2, 4}, Tile{4, 2}})
    for (Pass pass : kPasses) {
      const OrderedTile plan = tightest(tile, pass, {6, 1, 2, 2, 4, 2, 4});
      for_each_problem(8, [&](const Problem& p, const Tensors& dense) {
        if (p.pass != pass) return;
        const Schedule s = with_memory(prune(mesh(p, plan, Dtype::kFp32)));
        EXPECT_LE(error_of(run(s, dense), dense, pass), 1e-12) << name_of(p, tile);
        EXPECT_LE(error_of(run(s, dense, Precision::kFp64, Threading::kPerLane), dense, pass), 1e-12)
            << name_of(p, tile);
      });
    }
}

TEST(CpuExecutor, EmptyBlocksAddNothing) {
  for_each_problem(4, [](const Problem& p, const Tensors& dense) {
    for (Tile tile : tiles_of(p.ranks)) {
      const Schedule s = with_memory(mesh(p, row_by_row(tile, p.pass), Dtype::kFp32));
      EXPECT_LE(error_of(run(s, dense), dense, p.pass), 1e-12) << name_of(p, tile);
    }
  });
}

TEST(CpuExecutor, BothThreadingsAgreeToTheLastBit) {
  for (int ranks : {1, 4, 6})
    for_each_problem(ranks, [](const Problem& p, const Tensors& dense) {
      for (Tile tile : tiles_of(p.ranks)) {
        const Schedule s = with_memory(prune(mesh(p, row_by_row(tile, p.pass), Dtype::kBf16)));
        for (Precision precision : {Precision::kFp32, Precision::kFp64}) {
          const Tensors once = run(s, dense, precision, Threading::kSingle);
          EXPECT_TRUE(same(once, run(s, dense, precision, Threading::kSingle))) << name_of(p, tile);
          EXPECT_TRUE(same(once, run(s, dense, precision, Threading::kPerLane))) << name_of(p, tile);
        }
      }
    });
}

TEST(CpuExecutor, SlicesOfHeadsTravelAndAccumulateApart) {
  // Two ranks, zigzag. Each sends its KV as two halves of the heads, has an accumulator for each half of the query
  // heads, and combines them into its output.
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

}  // namespace
}  // namespace meshattn::cpu
