#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// Most bytes that a rank holds when it runs the steps in this order. What a step reads is held until it is over; a
/// received row or column until its last block has run and it has been sent on; sums until they leave.
[[nodiscard]] std::uint64_t peak_bytes_of(Tile tile, const TileBytes& bytes, std::span<const TileStep> steps);

/// The same hops and rectangles, each lane in its order, with hops put off until what they make fits into the limit;
/// nothing if that does not help.
[[nodiscard]] std::optional<std::vector<TileStep>> delay_hops_to_fit(Tile tile, const TileBytes& bytes,
                                                                     std::span<const TileStep> steps,
                                                                     std::uint64_t limit);

/// Orders that need little memory: all columns (or all rows) are gathered, then the others come one at a time, `ahead`
/// of them more than are being worked on, and leave when they are done.
[[nodiscard]] std::vector<LaneOrder> low_memory_orders(const TileProblem& problem);

}  // namespace meshattn
