#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "core/algorithms/tile.h"
#include "core/problem/attention.h"

namespace meshattn {

/// Costs of one hop and of one block, in seconds or any other one unit. Constant over the tile.
struct TileCosts {
  double row_in = 0;      ///< Q forward; Q, dO, delta backward
  double column_in = 0;   ///< KV
  double row_out = 0;     ///< partial O forward, dQ backward
  double column_out = 0;  ///< dKV; backward only
  double block = 0;       ///< one (row, column) block
  /// Time of all hops together on the busiest link, which lanes side by side share.
  double busiest_link = 0;
};

/// Bytes of each thing that a rank of the tile holds, the same for all ranks.
struct TileBytes {
  std::uint64_t resident = 0;    ///< inputs and outputs, held all the time
  std::uint64_t row_in = 0;      ///< a received row
  std::uint64_t column_in = 0;   ///< a received column
  std::uint64_t row_sum = 0;     ///< the accumulator of a row
  std::uint64_t column_sum = 0;  ///< the accumulator of a column; backward only
  std::uint64_t row_out = 0;     ///< a partial row as it is sent
  std::uint64_t column_out = 0;  ///< a partial column as it is sent; backward only
};

/// One hop of all rings of a kind: every rank sends to its successor and receives from its predecessor.
enum class Hop : std::uint8_t { kRowIn, kColumnIn, kRowOut, kColumnOut };

/// Blocks of rows row_begin … row_end − 1 and columns column_begin … column_end − 1, computed as one.
struct Rectangle {
  int row_begin = 0;
  int row_end = 0;
  int column_begin = 0;
  int column_end = 0;

  friend bool operator==(const Rectangle&, const Rectangle&) = default;
};

using TileStep = std::variant<Hop, Rectangle>;

/// A rule that orders the hops and blocks of a tile: see order_tile. Unless one is asked for, the planner tries all of
/// them where the form leaves its steps to be planned, kTopology only for tiles with several rows and columns
/// (core/planner/plan.cpp).
enum class Order : std::uint8_t {
  kNaive,     ///< all rows, all columns, then all that leaves
  kGreedy,    ///< the next hop is the one that unlocks most blocks per unit of its cost (greedy.cpp)
  kOptimal,   ///< the shortest order that a search finds (optimal.cpp)
  kTopology,  ///< optimal for two lanes, one for rows and one for columns
};

[[nodiscard]] std::string_view name_of(Order order);

/// @throws InvalidInput naming what was given and the possible names.
[[nodiscard]] Order parse_order(std::string_view name);

/// A tile in order. All its ranks communicate and compute in this order, so that neighbours match.
struct OrderedTile {
  Tile tile;
  Pass pass = Pass::kForward;
  std::vector<TileStep> steps;   ///< in the order in which hosts issue them
  double makespan = 0;           ///< of `steps` in the one-lane, constant-cost model: see makespan_of
  double lower_bound = 0;        ///< no order of this tile is shorter: see order_tile
  std::uint64_t peak_bytes = 0;  ///< most bytes that a rank holds when hops are issued as listed
};

/// Makespan of a tile's steps in the one-lane, constant-cost model. Hops run one after another, and so do blocks. A
/// rectangle starts when its rows and columns have arrived. A row or column leaves when its blocks are done and the
/// partial before it has arrived. A hop that brings a row or column waits for the rectangles listed before it, whose
/// memory it may take; orders made without a memory limit list it where that costs no time.
[[nodiscard]] double makespan_of(const OrderedTile& tile, const TileCosts& costs);

/// Decides in which order every rank of a tile receives rows and columns, computes blocks and sends partials. Every
/// rule makes candidates; of the fastest, but for rounding, the one that holds least memory is taken. Hops are issued
/// as late as the makespan allows, so that little memory is held.
///
/// * `naive` and `greedy`: the rules in greedy.h and greedy.cpp.
/// * `optimal`: never longer than `greedy` or `naive`. Forward it is the shortest order if it meets `lower_bound` (the
///   optimum with preemptible compute), and for tiles up to 4×3 without that; for larger ones the search drops states
///   and gives the best order found. Backward it is the best for three orders in which lines leave (rows first, columns
///   first, in turn): a template, not a proof.
/// * `topology`: for two lanes, one for rows and one for columns. It is the optimal order of one lane whose hops cost
///   less, in the proportion in which two lanes finish earlier: when the longer of them and `busiest_link` do. Its
///   makespan and bound are those of that lane.
///
/// `lower_bound` always holds. Backward it is the bound of a tile whose rows alone, or whose columns alone, leave; for
/// tiles too large to search, the time of the channel and of the compute alone.
/// @throws InvalidInput if the tile has no row or column, or a cost is negative or infinite.
[[nodiscard]] OrderedTile order_tile(Tile tile, Pass pass, Order order, const TileCosts& costs, const TileBytes& bytes);

/// The fastest known order that keeps to a memory limit, in bytes: an order by the rule with hops put off until their
/// data fits, or one that gathers only rows (or columns) and streams the columns (or rows). nullopt if none fits.
[[nodiscard]] std::optional<OrderedTile> order_tile_within(Tile tile, Pass pass, Order order, const TileCosts& costs,
                                                           const TileBytes& bytes, std::uint64_t memory_limit);

}  // namespace meshattn
