#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// Both lanes of a rank after some hops, if compute can be interrupted at will and always works for the line that
/// leaves first. For every k the blocks of the first k lines then end as early as possible, so that times are lower
/// bounds.
class PreemptibleState {
 public:
  PreemptibleState(const TileProblem& problem, const std::vector<Line>& lines);

  [[nodiscard]] bool can_receive_row() const { return rows_in_ + 1 < problem_->tile.rows; }
  [[nodiscard]] bool can_receive_column() const { return columns_in_ + 1 < problem_->tile.columns; }
  [[nodiscard]] bool can_send() const;
  void receive(Hop hop);
  void send();

  /// A lower bound of the makespan of all continuations, preempted or not; after the last hop the makespan itself.
  [[nodiscard]] double bound() const;
  [[nodiscard]] bool dominates(const PreemptibleState& other) const;
  /// Takes the earlier of all times of both: still a lower bound, but maybe of no order.
  void relax(const PreemptibleState& other);

  [[nodiscard]] int rows_in() const { return rows_in_; }
  [[nodiscard]] int columns_in() const { return columns_in_; }
  [[nodiscard]] int sent() const { return sent_; }

 private:
  const TileProblem* problem_;
  const std::vector<Line>* lines_;
  int rows_in_ = 0;
  int columns_in_ = 0;
  int sent_ = 0;
  double channel_ = 0;           ///< when the channel is free
  double hops_left_ = 0;         ///< cost of all hops to come
  std::vector<double> done_at_;  ///< [i]: when all available blocks of lines up to sent_ + i have run
};

}  // namespace meshattn
