#include "core/planner/grid_placement.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/error.h"

namespace meshattn {

namespace {

std::string text_of(Grid grid) { return fmt::format("{}x{}", grid.rows, grid.columns); }

void check_grid(Grid grid, Tile tile, int ranks_at_place, int gpus_per_node) {
  const std::vector<Grid> possible = grids_of(tile, ranks_at_place, gpus_per_node);
  if (std::ranges::find(possible, grid) != possible.end()) return;
  std::string names;
  for (Grid g : possible) names += (names.empty() ? "possible are " : ", ") + text_of(g);
  throw InvalidInput(fmt::format("grid {} does not put the tile {}x{}{} on nodes of {} GPUs: {}", text_of(grid),
                                 tile.rows, tile.columns,
                                 ranks_at_place > 1 ? fmt::format(" of {} ranks a place", ranks_at_place) : "",
                                 gpus_per_node, names.empty() ? "no grid does" : names));
}

/// By rank, for a grid that fits.
std::vector<int> gpus_on_grid(Grid grid, Tile tile, int ranks_at_place, int gpus_per_node) {
  std::vector<int> gpus;
  gpus.reserve(static_cast<std::size_t>(tile.rows) * static_cast<std::size_t>(tile.columns * ranks_at_place));
  for (int column = 0; column < tile.columns; ++column)  // place in the column group
    for (int row = 0; row < tile.rows; ++row)            // place in the row group
      for (int i = 0; i < ranks_at_place; ++i) {
        const int node = column / grid.columns * (tile.rows / grid.rows) + row / grid.rows;
        const int place = column % grid.columns * grid.rows + row % grid.rows;
        gpus.push_back(node * gpus_per_node + place * ranks_at_place + i);
      }
  return gpus;
}

}  // namespace

std::vector<Grid> grids_of(Tile tile, int ranks_at_place, int gpus_per_node) {
  std::vector<Grid> grids;
  if (gpus_per_node % ranks_at_place != 0) return grids;
  const int places = gpus_per_node / ranks_at_place;
  for (int rows = 1; rows <= places; ++rows)
    if (places % rows == 0 && tile.rows % rows == 0 && tile.columns % (places / rows) == 0)
      grids.push_back({rows, places / rows});
  return grids;
}

Placement placed(Grid grid, Tile tile, int ranks_at_place, int gpus_per_node) {
  check_grid(grid, tile, ranks_at_place, gpus_per_node);
  return {"grid:" + text_of(grid), gpus_on_grid(grid, tile, ranks_at_place, gpus_per_node)};
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
  if (const auto* grid = std::get_if<Grid>(&rule)) return "grid:" + text_of(*grid);
  return std::holds_alternative<LinearRule>(rule) ? "linear" : "search";
}

}  // namespace meshattn
