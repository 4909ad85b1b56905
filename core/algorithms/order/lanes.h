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

/// Both lanes part way. Of the blocks at hand the one whose line leaves first runs first: an exchange argument shows
/// that no other choice is better (blocks are equally long). So all that remains to be decided is the next hop, and
/// whether a block that would still run when the hop arrives is begun or held back for what arrives.
class LaneState {
 public:
  LaneState(const TileProblem& problem, const std::vector<Line>& lines);

  [[nodiscard]] bool can_receive_row() const { return rows_in_ + 1 < problem_->tile.rows; }
  [[nodiscard]] bool can_receive_column() const { return columns_in_ + 1 < problem_->tile.columns; }
  /// All blocks of the next line to leave have their rows and columns.
  [[nodiscard]] bool can_send() const;

  /// Appends a hop; blocks that run before it ends are appended to `ran`, if given.
  /// With `hold_back`, no block begins that would end after a received row or column arrives.
  void receive(Hop hop, bool hold_back, std::vector<BlockAt>* ran = nullptr);
  void send(std::vector<BlockAt>* ran = nullptr);
  /// Runs what is left; the makespan.
  double finish(std::vector<BlockAt>* ran = nullptr);

  /// Begins all blocks that can begin before the channel is free.
  void run_until_channel_is_free(std::vector<BlockAt>* ran = nullptr);
  /// All blocks of the next line to leave have run when the channel is free.
  [[nodiscard]] bool line_is_done() const;
  /// Blocks at hand that have not begun.
  [[nodiscard]] int backlog() const;
  /// No continuation is shorter.
  [[nodiscard]] double bound() const;
  /// This can do all that `other` can, no later; both have seen the same numbers of hops.
  [[nodiscard]] bool dominates(const LaneState& other) const;

  [[nodiscard]] int rows_in() const { return rows_in_; }
  [[nodiscard]] int columns_in() const { return columns_in_; }
  [[nodiscard]] int sent() const { return sent_; }
  [[nodiscard]] double channel_time() const { return channel_; }
  [[nodiscard]] double compute_time() const { return compute_; }

 private:
  [[nodiscard]] int next_line() const;
  void run(int line, std::vector<BlockAt>* ran);

  const TileProblem* problem_;
  const std::vector<Line>* lines_;
  int rows_in_ = 0;
  int columns_in_ = 0;
  int sent_ = 0;
  int last_line_ = -1;  ///< of the last block; any other line that is done was so before `channel_`
  double channel_ = 0;
  double compute_ = 0;
  double hops_left_ = 0;
  std::vector<std::int16_t> done_;
};

/// The order with this channel order, blocks as soon as they can run.
[[nodiscard]] LaneOrder order_with_hops(const TileProblem& problem, const std::vector<Line>& lines,
                                        const std::vector<Hop>& channel);

}  // namespace meshattn
