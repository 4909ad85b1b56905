#pragma once

#include <cstdint>
#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

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
