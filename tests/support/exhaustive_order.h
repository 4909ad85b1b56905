#pragma once

#include "core/algorithms/order/order.h"

namespace meshattn {

/// Shortest time of a tile in the one-lane model over all channel orders and all compute lists, by trying them: blocks
/// in any order, waiting for whatever is still to come. Only for tiles of about a dozen blocks.
[[nodiscard]] double exhaustive_makespan(Tile tile, Pass pass, const TileCosts& costs);

}  // namespace meshattn
