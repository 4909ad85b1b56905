#pragma once

#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// The lanes part way when compute can be interrupted at will and always works for the line that leaves first: then the
/// work of the first lines ends as early as it possibly can, for every number of them at once.
class PreemptibleState {
 public:
  PreemptibleState(const TileProblem& problem, const std::vector<Line>& lines);

  [[nodiscard]] bool can_receive_row() const { return rows_in_ + 1 < problem_->tile.rows; }
  [[nodiscard]] bool can_receive_column() const { return columns_in_ + 1 < problem_->tile.columns; }
  [[nodiscard]] bool can_send() const;
  void receive(Hop hop);
  void send();

  /// No continuation is shorter, preempted or not; at the end this is the time.
  [[nodiscard]] double bound() const;
  [[nodiscard]] bool dominates(const PreemptibleState& other) const;
  /// Becomes no later than either: still a bound, but maybe no order has this time.
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
  double channel_ = 0;
  double hops_left_ = 0;
  std::vector<double> done_at_;  ///< [i]: when the work at hand of lines up to sent_ + i ends
};

}  // namespace meshattn
