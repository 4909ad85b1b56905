#include "core/algorithms/order/lane_state.h"

#include <algorithm>

namespace meshattn {

LaneState::LaneState(const TileProblem& problem, const std::vector<Line>& lines)
    : problem_(&problem), lines_(&lines), hops_left_(problem.cost_of_all_hops()), done_(lines.size(), 0) {}

bool LaneState::can_send() const {
  const Line& line = (*lines_)[static_cast<std::size_t>(sent_)];
  return static_cast<std::size_t>(sent_) + 1 < lines_->size() && line.available(rows_in_, columns_in_) == line.length;
}

bool LaneState::line_is_done() const {
  const auto line = static_cast<std::size_t>(sent_);
  return done_[line] == (*lines_)[line].length && (last_line_ != sent_ || compute_ <= channel_);
}

int LaneState::next_line() const {
  for (std::size_t i = static_cast<std::size_t>(sent_); i < lines_->size(); ++i)
    if (done_[i] < (*lines_)[i].available(rows_in_, columns_in_)) return static_cast<int>(i);
  return -1;
}

void LaneState::run(int line, std::vector<BlockAt>* ran) {
  const auto i = static_cast<std::size_t>(line);
  if (ran) ran->push_back((*lines_)[i].block(done_[i]));
  ++done_[i];
  last_line_ = line;
  compute_ += problem_->costs.block;
}

void LaneState::run_until_channel_is_free(std::vector<BlockAt>* ran) {
  while (compute_ < channel_) {
    const int line = next_line();
    if (line < 0) break;
    run(line, ran);
  }
}

void LaneState::receive(Hop hop, bool hold_back, std::vector<BlockAt>* ran) {
  channel_ += problem_->cost_of(hop);
  hops_left_ -= problem_->cost_of(hop);
  while (compute_ < channel_ && !(hold_back && compute_ + problem_->costs.block > channel_)) {
    const int line = next_line();
    if (line < 0) break;
    run(line, ran);
  }
  compute_ = std::max(compute_, channel_);
  ++(hop == Hop::kRowIn ? rows_in_ : columns_in_);
}

void LaneState::send(std::vector<BlockAt>* ran) {
  const auto line = static_cast<std::size_t>(sent_);
  while (done_[line] < (*lines_)[line].length) run(next_line(), ran);
  if (last_line_ == sent_) channel_ = std::max(channel_, compute_);
  const double cost = problem_->cost_of((*lines_)[line].out());
  channel_ += cost;
  hops_left_ -= cost;
  ++sent_;
}

double LaneState::finish(std::vector<BlockAt>* ran) {
  for (int line = next_line(); line >= 0; line = next_line()) run(line, ran);
  return std::max(channel_, compute_);
}

int LaneState::backlog() const {
  int blocks = 0;
  for (std::size_t i = static_cast<std::size_t>(sent_); i < lines_->size(); ++i)
    blocks += (*lines_)[i].available(rows_in_, columns_in_) - done_[i];
  return blocks;
}

double LaneState::bound() const {
  double bound = channel_ + hops_left_, out = 0;
  for (std::size_t i = static_cast<std::size_t>(sent_); i + 1 < lines_->size(); ++i)
    out += problem_->cost_of((*lines_)[i].out());
  int left = 0;
  for (std::size_t i = static_cast<std::size_t>(sent_); i < lines_->size(); ++i) {
    left += (*lines_)[i].length - done_[i];
    if (left > 0) bound = std::max(bound, compute_ + left * problem_->costs.block + out);
    if (i + 1 < lines_->size()) out -= problem_->cost_of((*lines_)[i].out());
  }
  return bound;
}

bool LaneState::dominates(const LaneState& other) const {
  if (channel_ > other.channel_ || compute_ > other.compute_) return false;
  for (std::size_t i = static_cast<std::size_t>(sent_); i < done_.size(); ++i)
    if (done_[i] < other.done_[i]) return false;
  if (last_line_ < sent_ || last_line_ == other.last_line_ || compute_ <= other.channel_) return true;
  const auto last = static_cast<std::size_t>(last_line_);
  return other.done_[last] < (*lines_)[last].length;  // else the other may send this line before we have finished it
}

LaneOrder order_with_hops(const TileProblem& problem, const std::vector<Line>& lines, const std::vector<Hop>& channel) {
  LaneState state(problem, lines);
  LaneOrder order{channel, {}};
  for (Hop hop : channel) {
    if (hop == Hop::kRowIn || hop == Hop::kColumnIn)
      state.receive(hop, false, &order.blocks);
    else
      state.send(&order.blocks);
  }
  state.finish(&order.blocks);
  return order;
}

}  // namespace meshattn
