#include "core/planner/placement_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/algorithms/catalogue.h"
#include "core/base/error.h"
#include "core/report/volume.h"
#include "core/schedule/passes/verify.h"

namespace meshattn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string refusal(Grid grid, Tile tile, int inner, int gpus_per_node) {
  try {
    (void)placed(grid, tile, inner, gpus_per_node);
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Placement, GridsDivideTheTileAndFillANode) {
  EXPECT_THAT(grids_of({16, 16}, 1, 8), ElementsAre(Grid{1, 8}, Grid{2, 4}, Grid{4, 2}, Grid{8, 1}));
  EXPECT_THAT(grids_of({2, 128}, 1, 8), ElementsAre(Grid{1, 8}, Grid{2, 4}));
  EXPECT_THAT(grids_of({1, 256}, 1, 8), ElementsAre(Grid{1, 8}));
  EXPECT_THAT(grids_of({4, 4}, 4, 8), ElementsAre(Grid{1, 2}, Grid{2, 1}));  // two places of four ranks
  EXPECT_THAT(grids_of({4, 4}, 3, 8), IsEmpty());
  EXPECT_THAT(grids_of({3, 8}, 1, 6), ElementsAre(Grid{3, 2}));  // 1x6 and 6x1 do not divide it
}

/// Tile 4x4 on nodes of 4, grid 2x2. Rank 4R + C is at (R, C); nodes in the order of (R / 2, C / 2), within a node in
/// that of (R % 2, C % 2): node 0 holds ranks 0, 1, 4, 5, node 1 2, 3, 6, 7.
TEST(Placement, GridPutsASubGridOnEachNode) {
  const Placement p = placed({2, 2}, {4, 4}, 1, 4);
  EXPECT_EQ(p.name, "grid:2x2");
  EXPECT_THAT(p.gpu, ElementsAre(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  // Two ranks a place, 2x1 places a node: the places of a row are dealt in pairs, which is linear.
  EXPECT_EQ(placed({2, 1}, {4, 2}, 2, 4).gpu, linear_placement(16).gpu);
  // 1x2 places of two ranks: (R, C) is on node C of four, at place R. Rank (4R + C)·2 + i.
  EXPECT_THAT(placed({1, 2}, {4, 2}, 2, 4).gpu, ElementsAre(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
}

TEST(Placement, EveryGridIsAPermutationThatKeepsPlacesTogether) {
  for (Tile tile : {Tile{4, 8}, Tile{8, 4}, Tile{16, 2}, Tile{1, 32}, Tile{6, 4}})
    for (int inner : {1, 2, 4})
      for (int per_node : {1, 2, 4, 8, 12})
        for (Grid grid : grids_of(tile, inner, per_node)) {
          const Placement p = placed(grid, tile, inner, per_node);
          std::vector<int> sorted = p.gpu;
          std::ranges::sort(sorted);
          ASSERT_EQ(sorted, linear_placement(tile.rows * tile.columns * inner).gpu);
          const auto node = [&](int column, int row, int i) {
            return p.gpu[static_cast<std::size_t>((column * tile.rows + row) * inner + i)] / per_node;
          };
          for (int column = 0; column < tile.columns; ++column)
            for (int row = 0; row < tile.rows; ++row)
              for (int i = 0; i < inner; ++i)
                EXPECT_EQ(node(column, row, i),
                          node(column / grid.columns * grid.columns, row / grid.rows * grid.rows, 0));
        }
}

/// m places a node: min(a, m) of a row, m / min(a, m) rows, is linear where they divide.
TEST(Placement, LinearIsAGrid) {
  for (Tile tile : tiles_of(64))
    for (int m : {1, 2, 4, 8, 16}) {
      const int rows = std::min(tile.rows, m);
      EXPECT_EQ(placed({rows, m / rows}, tile, 1, m).gpu, linear_placement(64).gpu) << tile.rows << ' ' << m;
    }
}

TEST(Placement, RefusesAGridThatDoesNotFitAndListsThoseThatDo) {
  EXPECT_THAT(refusal({2, 2}, {16, 16}, 1, 8),
              HasSubstr("grid 2x2 does not put the tile 16x16 on nodes of 8 GPUs: possible are 1x8, 2x4, 4x2, 8x1"));
  EXPECT_THAT(refusal({2, 4}, {1, 256}, 1, 8), HasSubstr("possible are 1x8"));
  EXPECT_THAT(refusal({3, 1}, {3, 5}, 1, 4), HasSubstr("no grid does"));
}

/// Nodes of 4 GPUs at one NIC, 64 ranks, tile 8x8, MHA, bf16 partials: a hop takes as long as what the GPUs at the edge
/// of a node's grid s×t send over its NIC, in chunks 7·(1 + 1)·t + 7·2·s: 70 for 1x4 and 4x1 (linear), 56 for 2x2.
PlanRequest request_of_64() {
  PlanRequest r;
  r.problem = {
      {64 * 256L, 64 * 256L, 1, 8, 8, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 64};
  r.method.form.tile = {8, 8};
  r.wire = Dtype::kBf16;
  return r;
}

Cluster shared_nics(double flops_per_s) {
  Cluster c;
  c.gpu.attention_flops_per_s = flops_per_s;
  c.node = {.gpus = 4, .link_bytes_per_s = 400e9, .gpus_per_nic = 4, .nic_bytes_per_s = 10e9};
  return c;
}

/// 256 GPUs, 8 a node in a grid 2x4, MHA, tile 16x16, bf16 partials: the Q and O of a row enter the node at one of its
/// 2 columns, 2 · 15 chunks, 15 on average; the KV of a column at one of its 4 rows, 15 times 2 chunks, 7.5 on average.
/// No GPU is both. KV moves down, but up where a mask leaves contiguous chunks; there each node's KV is seen by fewer.
TEST(Placement, RowsAndColumnsEnterANodeAtDifferentGpus) {
  Cluster c = shared_nics(1e12);
  c.node.gpus = 8;
  const Network network(c, placed({2, 4}, {16, 16}, 1, 8));
  PlanRequest r = request_of_64();
  r.problem.shape.seq_q = r.problem.shape.seq_kv = 1024;
  r.problem.ranks = 256;
  r.method.form.tile = {16, 16};
  r.order = Order::kNaive;
  for (const Mask& mask : {Mask::kFull, Mask::kCausal}) {
    r.problem.mask = mask;
    const Volume v = volume_of(make_plan(r, network, CostModel(c.gpu, r.problem)).schedule, network);
    EXPECT_DOUBLE_EQ(v.inter_node_chunks_max, 30);
    if (mask.is_full()) {
      EXPECT_DOUBLE_EQ(v.inter_node_chunks_avg, 22.5);
    }
  }
}

TEST(PlacementSearch, TakesTheFastest) {
  const std::vector<Passes> passes{{request_of_64()}};
  const Cluster c = shared_nics(1e15);  // communication decides
  const Placement best = arrange(SearchRule{}, passes, c).placement;
  EXPECT_EQ(best.name, "grid:2x2");
  const auto seconds = [&](const Placement& p) {
    return make_plan(passes.front().front(), Network(c, p), CostModel(c.gpu, passes.front().front().problem))
        .estimate_s;
  };
  EXPECT_NEAR(seconds(linear_placement(64)) / seconds(best), 70.0 / 56, 0.02);
}

/// Blocks so long that all placements take the same: the NICs of 2x2 carry least.
TEST(PlacementSearch, OfEqualsTakesTheLeastLoaded) {
  const std::vector<Passes> passes{{request_of_64()}};
  EXPECT_EQ(arrange(SearchRule{}, passes, shared_nics(1e10)).placement.name, "grid:2x2");
}

TEST(PlacementSearch, IsLinearWhereThereIsNoChoice) {
  std::vector<Passes> ring{{request_of_64()}};
  ring.front().front().method.form.tile = {1, 64};
  EXPECT_EQ(arrange(SearchRule{}, ring, shared_nics(1e12)).placement.name, "linear");
}

/// Heads that are shared out among 2 ranks a place, 4 to each with 2 of keys: at most 2 slices; and each pass its own.
TEST(Arrange, CutsHeadsOnlyWhereTheyCanBe) {
  PlanRequest r = request_of_64();
  r.problem.shape.kv_heads = 4;
  r.method = method_of("ulysses-mesh", r.problem, {.tile = Tile{4, 8}, .ulysses = 2, .slices = 0}, 4);
  EXPECT_TRUE(r.method.choose_slices);
  EXPECT_EQ(r.method.form.slices, 1);
  const Cluster c = shared_nics(1e15);
  const Arrangement found = arrange(LinearRule{}, std::vector<Passes>{{r}}, c);
  EXPECT_FALSE(found.passes.front().method.choose_slices);
  EXPECT_LE(found.passes.front().method.form.slices, 2);
  // Blocks so long that nothing can be gained.
  EXPECT_EQ(arrange(LinearRule{}, std::vector<Passes>{{r}}, shared_nics(1e8)).passes.front().method.form.slices, 1);
}

/// 8x8 on nodes of four GPUs with a NIC each: linear rows leave a node by one GPU, its NIC carries all; four slices
/// leave by all four.
TEST(Arrange, TakesSlicesWhereOneNicCarriesAll) {
  PlanRequest r = request_of_64();
  r.method.choose_slices = true;
  Cluster c = shared_nics(1e15);
  c.node.gpus_per_nic = 1;
  EXPECT_GT(arrange(LinearRule{}, std::vector<Passes>{{r}}, c).passes.front().method.form.slices, 1);
}

/// No plan in one slice fits, one in several does; and where none does, the least of one slice is told.
TEST(Arrange, TakesSlicesWhereOneDoesNotFit) {
  const Cluster c = shared_nics(1e12);
  PlanRequest r = request_of_64();
  r.method.choose_slices = true;
  PlanRequest cut = request_of_64();
  cut.method.form.slices = 4;
  r.memory_limit = cut.memory_limit = 1;
  const auto least = [](auto&& plan) {
    try {
      plan();
    } catch (const MemoryLimitTooLow& e) {
      return e.least();
    }
    return std::uint64_t{0};
  };
  const std::uint64_t whole = least([&] { (void)arrange(LinearRule{}, std::vector<Passes>{{r}}, c); });
  const std::uint64_t sliced = least([&] { (void)make_plan(cut, Network(c, 64), CostModel(c.gpu, cut.problem)); });
  // What leaves nothing open is not planned.
  EXPECT_EQ(least([&] { (void)arrange(LinearRule{}, std::vector<Passes>{{cut}}, c); }), 0u);
  ASSERT_LT(sliced, whole);
  r.memory_limit = (sliced + whole) / 2;
  EXPECT_GT(arrange(LinearRule{}, std::vector<Passes>{{r}}, c).passes.front().method.form.slices, 1);
}

/// 128 slices take more lanes than there are: the tool keeps to what is possible.
TEST(Arrange, LeavesOutSlicesThatAreNotPossible) {
  PlanRequest r = request_of_64();
  r.problem.ranks = 4;
  r.problem.shape = {4 * 64, 4 * 64, 1, 128, 128, 8, Dtype::kBf16};
  r.method.form.tile = {2, 2};
  r.method.choose_slices = true;
  Cluster c = shared_nics(1e15);
  c.node.gpus = 128;
  EXPECT_LE(arrange(LinearRule{}, std::vector<Passes>{{r}}, c).passes.front().method.form.slices, 64);
}

/// Of several ways to deal the tokens those that an algorithm refuses are left out; the only one is refused aloud.
TEST(Arrange, LeavesOutAlternativesThatAreRefused) {
  PlanRequest contiguous = request_of_64();
  contiguous.problem.mask = Mask::kCausal;
  contiguous.method = method_of("light-seq", contiguous.problem, {}, 4);
  PlanRequest zigzag = contiguous;
  zigzag.problem.partition = Partition::kZigzag;
  const Cluster c = shared_nics(1e12);
  const std::vector<Passes> both{{zigzag}, {contiguous}};
  EXPECT_EQ(arrange(LinearRule{}, both, c).passes.front().problem.partition, Partition::kContiguous);
  const std::vector<Passes> refused{{zigzag}, {zigzag}};
  EXPECT_THROW((void)arrange(LinearRule{}, refused, c), InvalidInput);
}

/// Two passes count together: what is taken is the best of their sum, even where one pass alone would do better
/// elsewhere, as it does in some of these.
TEST(Arrange, AddsUpThePasses) {
  int torn = 0;
  for (Tile tile : {Tile{4, 16}, Tile{8, 8}, Tile{16, 4}})
    for (Tile backward_tile : {Tile{4, 16}, Tile{16, 4}, Tile{32, 2}})
      for (Pass last : {Pass::kForward, Pass::kBackward}) {
        PlanRequest first = request_of_64(), second = request_of_64();
        first.method.form.tile = tile;
        second.method.form.tile = backward_tile;
        (last == Pass::kBackward ? second : first).problem.pass = Pass::kBackward;
        const Cluster c = shared_nics(1e14);
        const auto estimate_s = [&](const Placement& placement, const PlanRequest& request) {
          return make_plan(request, Network(c, placement), CostModel(c.gpu, request.problem)).estimate_s;
        };
        double least = 1e9, least_of_last = 1e9;
        for (Grid grid : grids_of(tile, 1, 4)) {
          const Placement p = placed(grid, tile, 1, 4);
          least = std::min(least, estimate_s(p, first) + estimate_s(p, second));
          least_of_last = std::min(least_of_last, estimate_s(p, second));
        }
        const Placement both = arrange(SearchRule{}, std::vector<Passes>{{first, second}}, c).placement;
        EXPECT_LE(estimate_s(both, first) + estimate_s(both, second), 1.0011 * least);
        torn += estimate_s(both, second) > 1.01 * least_of_last;
      }
  EXPECT_GT(torn, 0);
}

/// Two alternatives of how tokens are dealt: the faster one, whichever comes first.
TEST(Arrange, TakesTheFasterAlternative) {
  PlanRequest contiguous = request_of_64();
  contiguous.problem.mask = Mask::kCausal;
  PlanRequest zigzag = contiguous;
  zigzag.problem.partition = Partition::kZigzag;
  const Cluster c = shared_nics(1e10);  // compute decides: zigzag is even
  for (const std::vector<Passes>& alternatives :
       {std::vector<Passes>{{contiguous}, {zigzag}}, {{zigzag}, {contiguous}}})
    EXPECT_EQ(arrange(LinearRule{}, alternatives, c).passes.front().problem.partition, Partition::kZigzag);
}

/// A grid is that of one tile: another tile on the same GPUs is no grid, and its rings keep to their order.
TEST(Placement, AGridIsOfItsTileOnly) {
  const Placement p = placed({2, 4}, {8, 8}, 1, 8);
  EXPECT_EQ(grid_of(p, {.tile = {8, 8}}, 8), (Grid{2, 4}));
  EXPECT_EQ(grid_of(p, {.tile = {32, 2}}, 8), (Grid{1, 1}));
  EXPECT_EQ(grid_of(p, {.tile = {8, 4}, .ulysses = 2}, 8), (Grid{1, 1}));
  for (Tile tile : tiles_of(64))
    for (int slices : {1, 2, 4}) {
      PlanRequest r = request_of_64();
      r.method.form.tile = tile;
      r.method.form.slices = slices;
      Cluster c = shared_nics(1e12);
      c.node.gpus = 8;
      EXPECT_TRUE(verify(make_plan(r, Network(c, p), CostModel(c.gpu, r.problem)).schedule).empty());
    }
}

/// Places of a row fill a node, or several rows do: 8 GPUs hold 8 of a row of 16, 2 rows of 4, or 2 places of 4 ranks.
TEST(Placement, LinearFillsNodesWithRows) {
  EXPECT_EQ(linear_grid({.tile = {16, 4}}, 8), (Grid{8, 1}));
  EXPECT_EQ(linear_grid({.tile = {4, 16}}, 8), (Grid{4, 2}));
  EXPECT_EQ(linear_grid({.tile = {1, 64}}, 8), (Grid{1, 8}));
  EXPECT_EQ(linear_grid({.tile = {4, 4}, .ulysses = 4}, 8), (Grid{2, 1}));
  EXPECT_EQ(linear_grid({.tile = {3, 8}}, 8), (Grid{1, 1}));
  EXPECT_EQ(linear_grid({.tile = {4, 4}, .ulysses = 16}, 8), (Grid{1, 1}));
}

TEST(PlacementSearch, RulesThatNameAPlacementAreKeptTo) {
  const std::vector<Passes> passes{{request_of_64()}};
  EXPECT_EQ(arrange(LinearRule{}, passes, shared_nics(1e12)).placement.name, "linear");
  EXPECT_EQ(arrange(Grid{1, 4}, passes, shared_nics(1e12)).placement.name, "grid:1x4");
  EXPECT_THROW((void)arrange(Grid{8, 8}, passes, shared_nics(1e12)), InvalidInput);
}

}  // namespace
}  // namespace meshattn
