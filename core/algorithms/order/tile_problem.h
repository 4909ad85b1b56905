#pragma once

#include <vector>

#include "core/algorithms/order/order.h"

namespace meshattn {

/// Sums of the same costs in another sequence differ by less, relative.
inline constexpr double kRounding = 1e-12;

/// A tile to be put in order. Forward only rows leave; backward rows and columns do.
struct TileProblem {
  Tile tile;
  Pass pass = Pass::kForward;
  TileCosts costs;

  [[nodiscard]] double cost_of(Hop hop) const;
  [[nodiscard]] int count_of(Hop hop) const;
  [[nodiscard]] int blocks() const { return tile.rows * tile.columns; }
  [[nodiscard]] double cost_of_all_hops() const;
};

/// One block of the tile.
struct BlockAt {
  int row = 0;
  int column = 0;
};

/// A row or column whose partial leaves as one, without the blocks of lines that leave earlier: crossing lines 1 …
/// `skip` have left. Its blocks are numbered in the order in which the crossing lines arrive.
struct Line {
  bool is_row = true;
  int index = 0;
  int skip = 0;
  int length = 1;

  /// Blocks that can run once this many rows and columns have been received.
  [[nodiscard]] int available(int rows_in, int columns_in) const {
    if (index > (is_row ? rows_in : columns_in)) return 0;
    const int crossing = (is_row ? columns_in : rows_in) - skip;
    return crossing > 0 ? 1 + crossing : 1;
  }
  [[nodiscard]] BlockAt block(int number) const {
    const int crossing = number == 0 ? 0 : skip + number;
    return is_row ? BlockAt{index, crossing} : BlockAt{crossing, index};
  }
  [[nodiscard]] Hop out() const { return is_row ? Hop::kRowOut : Hop::kColumnOut; }
};

/// The order in which rows and columns leave: rows first, columns first, or in turn, in proportion to their numbers.
/// Forward only rows leave.
enum class Departures : std::uint8_t { kRowsFirst, kColumnsFirst, kAlternating };

/// The lines of a tile in the order in which they leave; the blocks that never leave are the last line. Each block is
/// in the line with which it leaves first.
[[nodiscard]] std::vector<Line> lines_of(const TileProblem& problem, Departures departures);

/// The order of hops on the communication lane and of blocks on the compute lane, the same for every rank.
struct LaneOrder {
  std::vector<Hop> hops;
  std::vector<BlockAt> blocks;
};

}  // namespace meshattn
