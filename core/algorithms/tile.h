#pragma once

#include <string>
#include <vector>

namespace meshattn {

/// The a×b tile of one rank: a query chunks (rows) by b key/value chunks (columns). Ring is 1×n.
/// Rows and columns are numbered in order of arrival: 0 is the rank's own, row s arrives with the s-th row hop.
struct Tile {
  int rows = 1;
  int columns = 1;

  friend bool operator==(const Tile&, const Tile&) = default;
};

/// "16x8"
[[nodiscard]] std::string tile_text(Tile tile);

/// Every tile a×b = ranks, a ascending.
[[nodiscard]] std::vector<Tile> tiles_of(int ranks);

}  // namespace meshattn
