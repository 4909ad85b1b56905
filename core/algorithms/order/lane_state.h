#pragma once

#include <cstdint>
#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// Both lanes of a rank after some hops. Of the available blocks the one whose line leaves first runs first: by an
/// exchange argument no other choice is better, since blocks are equally long. The only decisions left are the next
/// hop, and whether to begin a block that would still run when the hop arrives.
class LaneState {
 public:
  LaneState(const TileProblem& problem, const std::vector<Line>& lines);

  [[nodiscard]] bool can_receive_row() const { return rows_in_ + 1 < problem_->tile.rows; }
  [[nodiscard]] bool can_receive_column() const { return columns_in_ + 1 < problem_->tile.columns; }
  /// Whether all blocks of the next line to leave are available.
  [[nodiscard]] bool can_send() const;

  /// Adds a hop that brings a row or column. Blocks that begin before it ends are appended to `ran`, if given.
  /// With `hold_back`, no block begins that would end after the arrival.
  void receive(Hop hop, bool hold_back, std::vector<BlockAt>* ran = nullptr);
  /// Adds the hop that takes the next line away, after its blocks.
  void send(std::vector<BlockAt>* ran = nullptr);
  /// Runs the blocks that are left. @returns the makespan.
  double finish(std::vector<BlockAt>* ran = nullptr);

  /// Begins all blocks that can begin before the channel is free.
  void run_until_channel_is_free(std::vector<BlockAt>* ran = nullptr);
  /// Whether all blocks of the next line to leave have run by the time the channel is free.
  [[nodiscard]] bool line_is_done() const;
  /// Available blocks that have not begun.
  [[nodiscard]] int backlog() const;
  /// A lower bound of the makespan of all continuations.
  [[nodiscard]] double bound() const;
  /// Whether every continuation of `other` is possible here too, and no later. Both have had as many hops of each kind.
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
  int last_line_ = -1;              ///< of the last block; all other lines that are done were done before `channel_`
  double channel_ = 0;              ///< when the channel is free
  double compute_ = 0;              ///< when the compute lane is free
  double hops_left_ = 0;            ///< cost of all hops to come
  std::vector<std::int16_t> done_;  ///< by line: blocks that have begun
};

/// The order with these hops in which blocks run as soon as they can.
[[nodiscard]] LaneOrder order_with_hops(const TileProblem& problem, const std::vector<Line>& lines,
                                        const std::vector<Hop>& channel);

}  // namespace meshattn
