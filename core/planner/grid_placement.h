#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/algorithms/mesh_form.h"
#include "core/cluster/placement.h"

namespace meshattn {

/// Every grid of a tile a×b in whose slots sit `ranks_per_slot` consecutive ranks, rows ascending: rows divide a,
/// columns divide b, and rows · columns · ranks_per_slot = GPUs per node. None if there is none.
[[nodiscard]] std::vector<Grid> grids_of(Tile tile, int ranks_per_slot, int gpus_per_node);

/// Ranks (R·a + C)·ranks_per_slot + i of the tile a×b on nodes by their slots (R, C), in the order of the ranks where
/// the grid allows. Where a row group and a node divide one another, the grid min(a, m) × (m / min(a, m)) of m slots a
/// node is linear.
/// @throws InvalidInput naming the possible grids if this is none.
[[nodiscard]] Placement grid_placement(Grid grid, Tile tile, int ranks_per_slot, int gpus_per_node);

/// The slots of a form that each node holds under a placement; 1×1 where they are no grid.
[[nodiscard]] Grid grid_of(const Placement& placement, const MeshForm& form, int gpus_per_node);

struct LinearRule {};
struct SearchRule {};
/// Linear, a grid, or a search for the best of all that are possible.
using PlacementRule = std::variant<LinearRule, Grid, SearchRule>;

/// "linear", "grid:2x4", "search".
[[nodiscard]] std::string name_of(const PlacementRule& rule);

}  // namespace meshattn
