#include "core/algorithms/order/timing.h"

#include <algorithm>

#include "core/base/error.h"

namespace meshattn {

namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// Runs both lanes together.
class Timing {
 public:
  Timing(const TileProblem& problem, const LaneOrder& order)
      : problem_(problem),
        order_(order),
        row_in_(at(problem.tile.rows), kNever),
        column_in_(at(problem.tile.columns), kNever),
        row_done_(row_in_.size(), 0),
        column_done_(column_in_.size(), 0),
        row_left_(at(problem.tile.rows), problem.tile.columns),
        column_left_(at(problem.tile.columns), problem.tile.rows) {
    row_in_[0] = column_in_[0] = 0;
  }

  StartTimes run() {
    bool moved = true;
    while (moved) {
      moved = false;
      while (times_.blocks.size() < order_.blocks.size() && begin_block()) moved = true;
      while (times_.hops.size() < order_.hops.size() && begin_hop()) moved = true;
    }
    if (times_.blocks.size() < order_.blocks.size() || times_.hops.size() < order_.hops.size())
      throw InvalidSchedule("the lanes of a tile wait for each other");
    return std::move(times_);
  }

 private:
  bool begin_block() {
    const auto [row, column] = order_.blocks[times_.blocks.size()];
    const double there = std::max(row_in_[at(row)], column_in_[at(column)]);
    if (there == kNever) return false;
    times_.blocks.push_back(std::max(compute_, there));
    compute_ = times_.blocks.back() + problem_.costs.block;
    if (--row_left_[at(row)] == 0) row_done_[at(row)] = compute_;
    if (--column_left_[at(column)] == 0) column_done_[at(column)] = compute_;
    return true;
  }

  bool begin_hop() {
    const Hop hop = order_.hops[times_.hops.size()];
    double start = channel_;
    if (!is_incoming(hop)) {
      const bool row = hop == Hop::kRowOut;
      const std::size_t line = (row ? rows_out_ : columns_out_) + 1;
      if ((row ? row_left_ : column_left_)[line] > 0) return false;
      start = std::max(start, (row ? row_done_ : column_done_)[line]);
      ++(row ? rows_out_ : columns_out_);
    }
    times_.hops.push_back(start);
    channel_ = start + problem_.cost_of(hop);
    if (hop == Hop::kRowIn) row_in_[++rows_received_] = channel_;
    if (hop == Hop::kColumnIn) column_in_[++columns_received_] = channel_;
    return true;
  }

  const TileProblem& problem_;
  const LaneOrder& order_;
  StartTimes times_;
  std::vector<double> row_in_, column_in_, row_done_, column_done_;
  std::vector<int> row_left_, column_left_;
  std::size_t rows_received_ = 0, columns_received_ = 0, rows_out_ = 0, columns_out_ = 0;
  double channel_ = 0, compute_ = 0;
};

}  // namespace

StartTimes earliest_starts(const TileProblem& problem, const LaneOrder& order) { return Timing(problem, order).run(); }

LatestTimes latest_times(const TileProblem& problem, const LaneOrder& order, const StartTimes& times) {
  LatestTimes late{times.hops, std::vector<double>(at(problem.tile.rows), kNever),
                   std::vector<double>(at(problem.tile.columns), kNever)};
  for (std::size_t i = order.blocks.size(); i-- > 0;) {
    late.rows[at(order.blocks[i].row)] = times.blocks[i];
    late.columns[at(order.blocks[i].column)] = times.blocks[i];
  }
  std::size_t row = late.rows.size(), column = late.columns.size();
  double next = kNever;
  for (std::size_t i = order.hops.size(); i-- > 0;) {
    if (is_incoming(order.hops[i])) {
      double& arrival = order.hops[i] == Hop::kRowIn ? late.rows[--row] : late.columns[--column];
      arrival = std::min(arrival, next);
      late.hops[i] = std::max(late.hops[i], arrival - problem.cost_of(order.hops[i]));
    }
    next = late.hops[i];
  }
  late.rows[0] = late.columns[0] = 0;
  return late;
}

}  // namespace meshattn
