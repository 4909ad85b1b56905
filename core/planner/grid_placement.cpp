#include "core/planner/grid_placement.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/error.h"

namespace meshattn {

namespace {

std::string grid_text(Grid grid) { return fmt::format("{}x{}", grid.rows, grid.columns); }

void check_grid(Grid grid, Tile tile, int ranks_per_slot, int gpus_per_node) {
  const std::vector<Grid> possible = grids_of(tile, ranks_per_slot, gpus_per_node);
  if (std::ranges::find(possible, grid) != possible.end()) return;
  std::string names;
  for (Grid g : possible) names += (names.empty() ? "possible are " : ", ") + grid_text(g);
  throw InvalidInput(fmt::format("grid {} does not put the tile {}x{}{} on nodes of {} GPUs: {}", grid_text(grid),
                                 tile.rows, tile.columns,
                                 ranks_per_slot > 1 ? fmt::format(" of {} ranks a slot", ranks_per_slot) : "",
                                 gpus_per_node, names.empty() ? "no grid does" : names));
}

/// By rank, for a grid that fits.
std::vector<int> gpus_on_grid(Grid grid, Tile tile, int ranks_per_slot, int gpus_per_node) {
  std::vector<int> gpus;
  gpus.reserve(static_cast<std::size_t>(tile.rows) * static_cast<std::size_t>(tile.columns * ranks_per_slot));
  for (int column = 0; column < tile.columns; ++column)  // index in the column group
    for (int row = 0; row < tile.rows; ++row)            // index in the row group
      for (int i = 0; i < ranks_per_slot; ++i) {
        const int node = column / grid.columns * (tile.rows / grid.rows) + row / grid.rows;
        const int slot = column % grid.columns * grid.rows + row % grid.rows;
        gpus.push_back(node * gpus_per_node + slot * ranks_per_slot + i);
      }
  return gpus;
}

}  // namespace

std::vector<Grid> grids_of(Tile tile, int ranks_per_slot, int gpus_per_node) {
  std::vector<Grid> grids;
  if (gpus_per_node % ranks_per_slot != 0) return grids;
  const int slots = gpus_per_node / ranks_per_slot;
  for (int rows = 1; rows <= slots; ++rows)
    if (slots % rows == 0 && tile.rows % rows == 0 && tile.columns % (slots / rows) == 0)
      grids.push_back({rows, slots / rows});
  return grids;
}

Placement grid_placement(Grid grid, Tile tile, int ranks_per_slot, int gpus_per_node) {
  check_grid(grid, tile, ranks_per_slot, gpus_per_node);
  return {"grid:" + grid_text(grid), gpus_on_grid(grid, tile, ranks_per_slot, gpus_per_node)};
}

Grid grid_of(const Placement& placement, const MeshForm& form, int gpus_per_node) {
  if (std::ranges::is_sorted(placement.gpu)) return linear_grid(form, gpus_per_node);
  const int ranks = static_cast<int>(placement.gpu.size()), per_node = std::min(ranks, gpus_per_node);
  if (form.ranks() != ranks) return {};
  for (Grid grid : grids_of(form.tile, form.ulysses, per_node))
    if (gpus_on_grid(grid, form.tile, form.ulysses, per_node) == placement.gpu) return grid;
  return {};
}

std::string name_of(const PlacementRule& rule) {
  if (const auto* grid = std::get_if<Grid>(&rule)) return "grid:" + grid_text(*grid);
  return std::holds_alternative<LinearRule>(rule) ? "linear" : "search";
}

}  // namespace meshattn
