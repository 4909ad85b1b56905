#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "core/passes/order.h"
#include "core/schedule.h"

namespace meshattn {

/// One line of the table of algorithms.
struct Algorithm {
  std::string_view name;
  std::string_view summary;
  bool takes_tile;  ///< whether the user chooses the tile
};

/// Every algorithm, in the order in which comparisons list them.
[[nodiscard]] std::span<const Algorithm> algorithms();

/// The tile with which an algorithm runs on so many ranks; `given` is what the user asked for.
/// @throws InvalidInput on an unknown name, a tile where none is taken, a missing one, or one whose product is wrong.
[[nodiscard]] Tile tile_of(std::string_view algorithm, int ranks, std::optional<Tile> given);

/// Every tile a×b = ranks, a ascending.
[[nodiscard]] std::vector<Tile> tiles_of(int ranks);

/// Mesh attention (arXiv 2512.20968), forward or backward as the problem says; ring is the tile 1×n. Rank r = R·a + C
/// has the queries of ranks R·a … R·a + a − 1 and the keys of ranks C, C + a, …; Q and O move up the ranks of a row
/// group, KV and dKV along those of a column group as `Rings::of_columns` says. Partials travel as `wire`; sums are
/// always made in fp32. Nothing is pruned and no memory assigned.
/// @throws InvalidInput if the tile's product is not the number of ranks.
[[nodiscard]] Schedule mesh(const Problem& problem, const TilePlan& plan, Dtype wire);

}  // namespace meshattn
