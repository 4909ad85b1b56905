#include "core/planner/grid_placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/planner/plan.h"
#include "core/report/volume.h"
#include "core/schedule/passes/verify.h"

namespace meshattn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string refusal(Grid grid, Tile tile, int ranks_per_slot, int gpus_per_node) {
  try {
    (void)grid_placement(grid, tile, ranks_per_slot, gpus_per_node);
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "accepted";
}

TEST(GridPlacement, GridsDivideTheTileAndFillANode) {
  EXPECT_THAT(grids_of({16, 16}, 1, 8), ElementsAre(Grid{1, 8}, Grid{2, 4}, Grid{4, 2}, Grid{8, 1}));
  EXPECT_THAT(grids_of({2, 128}, 1, 8), ElementsAre(Grid{1, 8}, Grid{2, 4}));
  EXPECT_THAT(grids_of({1, 256}, 1, 8), ElementsAre(Grid{1, 8}));
  EXPECT_THAT(grids_of({4, 4}, 4, 8), ElementsAre(Grid{1, 2}, Grid{2, 1}));  // two slots of four ranks
  EXPECT_THAT(grids_of({4, 4}, 3, 8), IsEmpty());
  EXPECT_THAT(grids_of({3, 8}, 1, 6), ElementsAre(Grid{3, 2}));  // 1x6 and 6x1 do not divide it
}

/// Tile 4x4 on nodes of 4, grid 2x2. Rank 4R + C is at (R, C); nodes in the order of (R / 2, C / 2), within a node in
/// that of (R % 2, C % 2): node 0 holds ranks 0, 1, 4, 5, node 1 2, 3, 6, 7.
TEST(GridPlacement, GridPutsASubGridOnEachNode) {
  const Placement p = grid_placement({2, 2}, {4, 4}, 1, 4);
  EXPECT_EQ(p.name, "grid:2x2");
  EXPECT_THAT(p.gpu, ElementsAre(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  // Two ranks a slot, 2x1 slots a node: the slots of a row are dealt in pairs, which is linear.
  EXPECT_EQ(grid_placement({2, 1}, {4, 2}, 2, 4).gpu, linear_placement(16).gpu);
  // 1x2 slots of two ranks: (R, C) is on node C of four, in slot R. Rank (4R + C)·2 + i.
  EXPECT_THAT(grid_placement({1, 2}, {4, 2}, 2, 4).gpu,
              ElementsAre(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
}

TEST(GridPlacement, EveryGridIsAPermutationThatKeepsSlotsTogether) {
  for (Tile tile : {Tile{4, 8}, Tile{8, 4}, Tile{16, 2}, Tile{1, 32}, Tile{6, 4}})
    for (int inner : {1, 2, 4})
      for (int per_node : {1, 2, 4, 8, 12})
        for (Grid grid : grids_of(tile, inner, per_node)) {
          const Placement p = grid_placement(grid, tile, inner, per_node);
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

/// m slots a node: min(a, m) of a row, m / min(a, m) rows, is linear where they divide.
TEST(GridPlacement, LinearIsAGrid) {
  for (Tile tile : tiles_of(64))
    for (int m : {1, 2, 4, 8, 16}) {
      const int rows = std::min(tile.rows, m);
      EXPECT_EQ(grid_placement({rows, m / rows}, tile, 1, m).gpu, linear_placement(64).gpu) << tile.rows << ' ' << m;
    }
}

TEST(GridPlacement, RefusesAGridThatDoesNotFitAndListsThoseThatDo) {
  EXPECT_THAT(refusal({2, 2}, {16, 16}, 1, 8),
              HasSubstr("grid 2x2 does not put the tile 16x16 on nodes of 8 GPUs: possible are 1x8, 2x4, 4x2, 8x1"));
  EXPECT_THAT(refusal({2, 4}, {1, 256}, 1, 8), HasSubstr("possible are 1x8"));
  EXPECT_THAT(refusal({3, 1}, {3, 5}, 1, 4), HasSubstr("no grid does"));
}

/// Slots of a row fill a node, or several rows do: 8 GPUs hold 8 of a row of 16, 2 rows of 4, or 2 slots of 4 ranks.
TEST(GridPlacement, LinearFillsNodesWithRows) {
  EXPECT_EQ(linear_grid({.tile = {16, 4}}, 8), (Grid{8, 1}));
  EXPECT_EQ(linear_grid({.tile = {4, 16}}, 8), (Grid{4, 2}));
  EXPECT_EQ(linear_grid({.tile = {1, 64}}, 8), (Grid{1, 8}));
  EXPECT_EQ(linear_grid({.tile = {4, 4}, .ulysses = 4}, 8), (Grid{2, 1}));
  EXPECT_EQ(linear_grid({.tile = {3, 8}}, 8), (Grid{1, 1}));
  EXPECT_EQ(linear_grid({.tile = {4, 4}, .ulysses = 16}, 8), (Grid{1, 1}));
}

/// Nodes of GPUs that share a NIC by fours.
Cluster shared_nics(int gpus_per_node) {
  Cluster c;
  c.gpu.attention_flops_per_s = 1e12;
  c.node = {.gpus = gpus_per_node, .link_bytes_per_s = 400e9, .gpus_per_nic = 4, .nic_bytes_per_s = 10e9};
  return c;
}

Configuration square_mesh(int ranks, Tile tile) {
  Configuration c{
      .problem = {{1024, 1024, 1, 8, 8, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, ranks}};
  c.form.tile = tile;
  c.wire = Dtype::kBf16;
  return c;
}

/// 256 GPUs, 8 a node in a grid 2x4, MHA, tile 16x16, bf16 partials: the Q and O of a row enter the node at one of its
/// 2 columns, 2 · 15 chunks, 15 on average; the KV of a column at one of its 4 rows, 15 times 2 chunks, 7.5 on average.
/// No GPU is both. KV moves down, but up where a mask leaves contiguous chunks; there each node's KV is seen by fewer.
TEST(GridPlacement, RowsAndColumnsEnterANodeAtDifferentGpus) {
  const Cluster cluster = shared_nics(8);
  const Network network(cluster, grid_placement({2, 4}, {16, 16}, 1, 8));
  Configuration c = square_mesh(256, {16, 16});
  c.order = Order::kNaive;
  for (const Mask& mask : {Mask::kFull, Mask::kCausal}) {
    c.problem.mask = mask;
    const Volume v = volume_of(plan_phase(c, network, CostModel(cluster.gpu, c.problem)).schedule, network);
    EXPECT_DOUBLE_EQ(v.inter_node_chunks_max, 30);
    if (mask.is_full()) {
      EXPECT_DOUBLE_EQ(v.inter_node_chunks_avg, 22.5);
    }
  }
}

/// A grid is that of one tile: another tile on the same GPUs is no grid, and its rings keep to their order.
TEST(GridPlacement, IsOfItsTileOnly) {
  const Placement p = grid_placement({2, 4}, {8, 8}, 1, 8);
  EXPECT_EQ(grid_of(p, {.tile = {8, 8}}, 8), (Grid{2, 4}));
  EXPECT_EQ(grid_of(p, {.tile = {32, 2}}, 8), (Grid{1, 1}));
  EXPECT_EQ(grid_of(p, {.tile = {8, 4}, .ulysses = 2}, 8), (Grid{1, 1}));
  const Cluster cluster = shared_nics(8);
  for (Tile tile : tiles_of(64))
    for (int slices : {1, 2, 4}) {
      Configuration c = square_mesh(64, tile);
      c.form.slices = slices;
      const CostModel cost(cluster.gpu, c.problem);
      EXPECT_TRUE(verify(plan_phase(c, Network(cluster, p), cost).schedule).empty());
    }
}

}  // namespace
}  // namespace meshattn
