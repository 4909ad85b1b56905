#include "core/algorithms/order/preemptible_state.h"

#include <algorithm>

namespace meshattn {

PreemptibleState::PreemptibleState(const TileProblem& problem, const std::vector<Line>& lines)
    : problem_(&problem), lines_(&lines), hops_left_(problem.cost_of_all_hops()), done_at_(lines.size(), 0) {
  int work = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    work += lines[i].available(0, 0);
    done_at_[i] = work * problem.costs.block;
  }
}

bool PreemptibleState::can_send() const {
  const Line& line = (*lines_)[static_cast<std::size_t>(sent_)];
  return done_at_.size() > 1 && line.available(rows_in_, columns_in_) == line.length;
}

void PreemptibleState::receive(Hop hop) {
  channel_ += problem_->cost_of(hop);
  hops_left_ -= problem_->cost_of(hop);
  const int rows = rows_in_ + (hop == Hop::kRowIn), columns = columns_in_ + (hop == Hop::kColumnIn);
  const Line* line = lines_->data() + sent_;
  int work = 0;
  for (double& done_at : done_at_) {
    work += line->available(rows, columns) - line->available(rows_in_, columns_in_);
    if (work > 0) done_at = std::max(done_at, channel_) + work * problem_->costs.block;
    ++line;
  }
  rows_in_ = rows;
  columns_in_ = columns;
}

void PreemptibleState::send() {
  const double cost = problem_->cost_of((*lines_)[static_cast<std::size_t>(sent_)].out());
  channel_ = std::max(channel_, done_at_.front()) + cost;
  hops_left_ -= cost;
  done_at_.erase(done_at_.begin());
  ++sent_;
}

double PreemptibleState::bound() const {
  double bound = channel_ + hops_left_, out = 0;
  const Line* line = lines_->data() + sent_;
  for (std::size_t i = 0; i + 1 < done_at_.size(); ++i) out += problem_->cost_of(line[i].out());
  int missing = 0;
  for (std::size_t i = 0; i < done_at_.size(); ++i) {
    missing += line[i].length - line[i].available(rows_in_, columns_in_);
    bound = std::max(bound, done_at_[i] + missing * problem_->costs.block + out);
    if (i + 1 < done_at_.size()) out -= problem_->cost_of(line[i].out());
  }
  return bound;
}

bool PreemptibleState::dominates(const PreemptibleState& other) const {
  if (channel_ > other.channel_) return false;
  for (std::size_t i = 0; i < done_at_.size(); ++i)
    if (done_at_[i] > other.done_at_[i] && done_at_[i] > channel_) return false;
  return true;
}

void PreemptibleState::relax(const PreemptibleState& other) {
  channel_ = std::min(channel_, other.channel_);
  for (std::size_t i = 0; i < done_at_.size(); ++i) done_at_[i] = std::min(done_at_[i], other.done_at_[i]);
}

}  // namespace meshattn
