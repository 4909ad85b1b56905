#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// Most bytes that a rank holds when it runs the steps in this order. A step holds its operands until it ends. A
/// received row or column is held until its last block has run and it has been sent on, an accumulator until it leaves.
[[nodiscard]] std::uint64_t peak_bytes_of(Tile tile, const TileBytes& bytes, std::span<const TileStep> steps);

/// The same hops and rectangles, each lane in its order, with hops put off until their data fits into the limit
/// (bytes); nullopt if it never does.
[[nodiscard]] std::optional<std::vector<TileStep>> delay_hops_to_fit(Tile tile, const TileBytes& bytes,
                                                                     std::span<const TileStep> steps,
                                                                     std::uint64_t limit);

/// Orders that need little memory. Columns (or rows) are stationary: all are gathered first. Then rows (or columns) are
/// streamed, one at a time or one ahead, and each leaves when it is done.
[[nodiscard]] std::vector<LaneOrder> low_memory_orders(const TileProblem& problem);

}  // namespace meshattn
