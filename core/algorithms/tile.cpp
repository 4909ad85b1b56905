#include "core/algorithms/tile.h"

#include <spdlog/fmt/fmt.h>

namespace meshattn {

std::string tile_text(Tile tile) { return fmt::format("{}x{}", tile.rows, tile.columns); }

std::vector<Tile> tiles_of(int ranks) {
  std::vector<Tile> tiles;
  for (int a = 1; a <= ranks; ++a)
    if (ranks % a == 0) tiles.push_back({a, ranks / a});
  return tiles;
}

}  // namespace meshattn
