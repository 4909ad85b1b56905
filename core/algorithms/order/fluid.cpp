#include "core/algorithms/order/fluid.h"

#include <algorithm>

namespace meshattn {

FluidState::FluidState(const TileProblem& problem, const std::vector<Line>& lines)
    : problem_(&problem), lines_(&lines), hops_left_(problem.cost_of_all_hops()), busy_(lines.size(), 0) {
  int work = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    work += lines[i].available(0, 0);
    busy_[i] = work * problem.costs.block;
  }
}

bool FluidState::can_send() const {
  const Line& line = (*lines_)[static_cast<std::size_t>(sent_)];
  return busy_.size() > 1 && line.available(rows_in_, columns_in_) == line.length;
}

void FluidState::receive(Hop hop) {
  channel_ += problem_->cost_of(hop);
  hops_left_ -= problem_->cost_of(hop);
  const int rows = rows_in_ + (hop == Hop::kRowIn), columns = columns_in_ + (hop == Hop::kColumnIn);
  const Line* line = lines_->data() + sent_;
  int work = 0;
  for (double& busy : busy_) {
    work += line->available(rows, columns) - line->available(rows_in_, columns_in_);
    if (work > 0) busy = std::max(busy, channel_) + work * problem_->costs.block;
    ++line;
  }
  rows_in_ = rows;
  columns_in_ = columns;
}

void FluidState::send() {
  const double cost = problem_->cost_of((*lines_)[static_cast<std::size_t>(sent_)].out());
  channel_ = std::max(channel_, busy_.front()) + cost;
  hops_left_ -= cost;
  busy_.erase(busy_.begin());
  ++sent_;
}

double FluidState::bound() const {
  double bound = channel_ + hops_left_, out = 0;
  const Line* line = lines_->data() + sent_;
  for (std::size_t i = 0; i + 1 < busy_.size(); ++i) out += problem_->cost_of(line[i].out());
  int missing = 0;
  for (std::size_t i = 0; i < busy_.size(); ++i) {
    missing += line[i].length - line[i].available(rows_in_, columns_in_);
    bound = std::max(bound, busy_[i] + missing * problem_->costs.block + out);
    if (i + 1 < busy_.size()) out -= problem_->cost_of(line[i].out());
  }
  return bound;
}

bool FluidState::dominates(const FluidState& other) const {
  if (channel_ > other.channel_) return false;
  for (std::size_t i = 0; i < busy_.size(); ++i)
    if (busy_[i] > other.busy_[i] && busy_[i] > channel_) return false;
  return true;
}

void FluidState::relax(const FluidState& other) {
  channel_ = std::min(channel_, other.channel_);
  for (std::size_t i = 0; i < busy_.size(); ++i) busy_[i] = std::min(busy_[i], other.busy_[i]);
}

}  // namespace meshattn
