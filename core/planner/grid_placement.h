#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/algorithms/mesh_form.h"
#include "core/cluster/placement.h"

namespace meshattn {

/// Every grid of a tile a×b with so many consecutive ranks at each place, rows ascending: rows | a, columns | b,
/// rows · columns · ranks_at_place = GPUs per node. None if there is none.
[[nodiscard]] std::vector<Grid> grids_of(Tile tile, int ranks_at_place, int gpus_per_node);

/// Ranks (R·a + C)·ranks_at_place + i of the tile a×b on nodes by their places (R, C), in the order of the ranks where
/// the grid allows: where a row group and a node divide one another, the grid min(a, m) × (m / min(a, m)) of m places a
/// node is linear.
/// @throws InvalidInput naming the possible grids if this is none.
[[nodiscard]] Placement placed(Grid grid, Tile tile, int ranks_at_place, int gpus_per_node);

/// The places of a form that each node holds under a placement; 1×1 where they are no grid.
[[nodiscard]] Grid grid_of(const Placement& placement, const MeshForm& form, int gpus_per_node);

struct LinearRule {};
struct SearchRule {};
/// What a user asks for: linear, a grid, or the best of those that are possible.
using PlacementRule = std::variant<LinearRule, Grid, SearchRule>;

/// "linear", "grid:2x4", "search".
[[nodiscard]] std::string name_of(const PlacementRule& rule);

}  // namespace meshattn
