#pragma once

#include "core/algorithms/order/order.h"

namespace meshattn {

/// The shortest makespan of a tile in the one-lane model, found by trying all orders of hops and all orders of blocks,
/// with any waits. Only for tiles of about a dozen blocks.
[[nodiscard]] double exhaustive_makespan(Tile tile, Pass pass, const TileCosts& costs);

}  // namespace meshattn
