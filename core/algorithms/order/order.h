#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "core/algorithms/tile.h"
#include "core/problem/attention.h"

namespace meshattn {

/// What one hop or one block costs, in seconds or any other one unit. Constant over the tile.
struct TileCosts {
  double row_in = 0;      ///< Q forward; Q, dO, delta backward
  double column_in = 0;   ///< KV
  double row_out = 0;     ///< partial O forward, dQ backward
  double column_out = 0;  ///< dKV; backward only
  double block = 0;       ///< one (row, column) block
  /// All hops, on the link that is busy for longest: what lanes side by side cannot do without.
  double busiest_link = 0;
};

/// Bytes that one rank of the tile holds of each kind, all equal over the tile.
struct TileBytes {
  std::uint64_t resident = 0;    ///< inputs and outputs: held all the time
  std::uint64_t row_in = 0;      ///< a received row
  std::uint64_t column_in = 0;   ///< a received column
  std::uint64_t row_sum = 0;     ///< the accumulator of a row
  std::uint64_t column_sum = 0;  ///< the accumulator of a column; backward only
  std::uint64_t row_out = 0;     ///< a partial row as it travels
  std::uint64_t column_out = 0;  ///< a partial column as it travels; backward only
};

/// One hop of all rings of a kind: every rank sends to its successor and receives from its predecessor.
enum class Hop : std::uint8_t { kRowIn, kColumnIn, kRowOut, kColumnOut };

/// Blocks row_begin … row_end − 1 × column_begin … column_end − 1, computed as one.
struct Rectangle {
  int row_begin = 0;
  int row_end = 0;
  int column_begin = 0;
  int column_end = 0;

  friend bool operator==(const Rectangle&, const Rectangle&) = default;
};

using TileStep = std::variant<Hop, Rectangle>;

enum class Order : std::uint8_t { kNaive, kGreedy, kOptimal, kTopology };

[[nodiscard]] std::string_view name_of(Order order);

/// @throws InvalidInput naming what was given and the possible names.
[[nodiscard]] Order parse_order(std::string_view name);

/// The order in which every rank of a tile communicates and computes: the same for all, so that neighbours match.
struct OrderedTile {
  Tile tile;
  Pass pass = Pass::kForward;
  std::vector<TileStep> steps;   ///< in the order in which a host issues them
  double makespan = 0;           ///< of `steps` in the one-lane, constant-cost model
  double lower_bound = 0;        ///< no plan of this tile is shorter, whatever its order; see order_tile
  std::uint64_t peak_bytes = 0;  ///< most that a rank holds when hops are issued as `steps` lists them
};

/// Time of a plan's steps in the one-lane model: hops one after another, blocks one after another, a rectangle starts
/// when its rows and columns are there, a row leaves when its blocks are done and the partial before it has come. A hop
/// that brings something waits for the rectangles listed before it, for it may take their place in memory; plans
/// without a memory limit list it where that costs nothing.
[[nodiscard]] double makespan_of(const OrderedTile& plan, const TileCosts& costs);

/// Orders a tile. Hops are issued as late as the planned time allows, so that a plan holds the least memory at which it
/// is not longer; of plans as fast as each other (but for rounding) it is the one that holds least.
///
/// `optimal` is never longer than `greedy` or `naive`. Forward it is the shortest of all if it meets `lower_bound` (the
/// optimum with preemptible compute), and without that up to 4×3; beyond, sets of states are cut where they grow too
/// large, and it is the best that was found. Backward it is the best for three orders of departure (rows first, columns
/// first, in turn): a template, not a proof. `topology` is for two lanes, one for rows and one for columns: the
/// optimal order of one lane whose hops cost less in the proportion in which two lanes are done sooner, which is when
/// the longer of them is and `busiest_link` too; its times and its bound are those of that lane. `lower_bound` holds
/// always: backward it is that of the tile if only its rows or only its columns left, and for tiles too large to search
/// the time of the channel and the compute alone.
[[nodiscard]] OrderedTile order_tile(Tile tile, Pass pass, Order order, const TileCosts& costs, const TileBytes& bytes);

/// Likewise the fastest known plan that keeps to a memory limit, bytes: of the order asked for, with hops put off until
/// what they bring fits, and of plans that gather only rows or only columns and stream the others. Nothing if none
/// does.
[[nodiscard]] std::optional<OrderedTile> order_tile_within(Tile tile, Pass pass, Order order, const TileCosts& costs,
                                                           const TileBytes& bytes, std::uint64_t memory_limit);

}  // namespace meshattn
