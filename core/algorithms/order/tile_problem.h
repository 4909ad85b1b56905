#pragma once

#include <vector>

#include "core/algorithms/order/order.h"

namespace meshattn {

/// What is to be ordered: a tile, what leaves it, and what everything costs.
struct TileProblem {
  Tile tile;
  Pass pass = Pass::kForward;
  TileCosts costs;

  [[nodiscard]] double cost_of(Hop hop) const;
  [[nodiscard]] int count_of(Hop hop) const;
  [[nodiscard]] int blocks() const { return tile.rows * tile.columns; }
  [[nodiscard]] double cost_of_all_hops() const;
};

struct BlockAt {
  int row = 0;
  int column = 0;
};

/// A row or a column of blocks that leaves as one, less the blocks of lines that leave earlier: crossing lines 1 …
/// `skip` are gone. Its blocks are numbered in the order in which the crossing lines arrive.
struct Line {
  bool is_row = true;
  int index = 0;
  int skip = 0;
  int length = 1;

  /// Blocks that can run once so many rows and columns have been received.
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

/// In which order rows and columns leave: rows first, columns first, or in turn, in proportion to their numbers.
/// Forward has rows only.
enum class Departures : std::uint8_t { kRowsFirst, kColumnsFirst, kAlternating };

/// Every block of the tile in the line with which it leaves first; lines in departing order, what stays comes last.
[[nodiscard]] std::vector<Line> lines_of(const TileProblem& problem, Departures departures);

/// What the two lanes of every rank do, each in its order.
struct LaneOrder {
  std::vector<Hop> hops;
  std::vector<BlockAt> blocks;
};

}  // namespace meshattn
