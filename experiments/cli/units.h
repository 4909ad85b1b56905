#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/algorithms/order/order.h"
#include "core/planner/grid_placement.h"
#include "core/problem/partition.h"

namespace meshattn {

// Values of options. Each function throws InvalidInput that begins with `where`, the option, and says what is possible.

/// "16x8": 16 query chunks by 8 key/value chunks.
[[nodiscard]] Tile parse_tile(std::string_view text, std::string_view where);
/// "linear", "grid:2x4", "search".
[[nodiscard]] PlacementRule parse_placement(std::string_view text, std::string_view where);
/// "0-7,64", each below `ranks`. @returns them ascending, without repeats
[[nodiscard]] std::vector<Rank> parse_ranks(std::string_view text, std::string_view where, int ranks);

}  // namespace meshattn
