#include "core/algorithms/order/timing.h"

#include <algorithm>

#include "core/base/error.h"

namespace meshattn {

namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// Runs both lanes together.
class Timing {
 public:
  Timing(const TileProblem& problem, const Lanes& lanes)
      : problem_(problem),
        lanes_(lanes),
        row_in_(at(problem.tile.rows), kNever),
        column_in_(at(problem.tile.columns), kNever),
        row_done_(row_in_.size(), 0),
        column_done_(column_in_.size(), 0),
        row_left_(at(problem.tile.rows), problem.tile.columns),
        column_left_(at(problem.tile.columns), problem.tile.rows) {
    row_in_[0] = column_in_[0] = 0;
  }

  Times run() {
    bool moved = true;
    while (moved) {
      moved = false;
      while (times_.blocks.size() < lanes_.compute.size() && begin_block()) moved = true;
      while (times_.hops.size() < lanes_.channel.size() && begin_hop()) moved = true;
    }
    if (times_.blocks.size() < lanes_.compute.size() || times_.hops.size() < lanes_.channel.size())
      throw InvalidSchedule("the lanes of a tile wait for each other");
    return std::move(times_);
  }

 private:
  bool begin_block() {
    const auto [row, column] = lanes_.compute[times_.blocks.size()];
    const double there = std::max(row_in_[at(row)], column_in_[at(column)]);
    if (there == kNever) return false;
    times_.blocks.push_back(std::max(compute_, there));
    compute_ = times_.blocks.back() + problem_.costs.block;
    if (--row_left_[at(row)] == 0) row_done_[at(row)] = compute_;
    if (--column_left_[at(column)] == 0) column_done_[at(column)] = compute_;
    return true;
  }

  bool begin_hop() {
    const Hop hop = lanes_.channel[times_.hops.size()];
    double start = channel_;
    if (!is_in(hop)) {
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
  const Lanes& lanes_;
  Times times_;
  std::vector<double> row_in_, column_in_, row_done_, column_done_;
  std::vector<int> row_left_, column_left_;
  std::size_t rows_received_ = 0, columns_received_ = 0, rows_out_ = 0, columns_out_ = 0;
  double channel_ = 0, compute_ = 0;
};

}  // namespace

Times times_of(const TileProblem& problem, const Lanes& lanes) { return Timing(problem, lanes).run(); }

Late late_of(const TileProblem& problem, const Lanes& lanes, const Times& times) {
  Late late{times.hops, std::vector<double>(at(problem.tile.rows), kNever),
            std::vector<double>(at(problem.tile.columns), kNever)};
  for (std::size_t i = lanes.compute.size(); i-- > 0;) {
    late.rows[at(lanes.compute[i].row)] = times.blocks[i];
    late.columns[at(lanes.compute[i].column)] = times.blocks[i];
  }
  std::size_t row = late.rows.size(), column = late.columns.size();
  double next = kNever;
  for (std::size_t i = lanes.channel.size(); i-- > 0;) {
    if (is_in(lanes.channel[i])) {
      double& arrival = lanes.channel[i] == Hop::kRowIn ? late.rows[--row] : late.columns[--column];
      arrival = std::min(arrival, next);
      late.hops[i] = std::max(late.hops[i], arrival - problem.cost_of(lanes.channel[i]));
    }
    next = late.hops[i];
  }
  late.rows[0] = late.columns[0] = 0;
  return late;
}

}  // namespace meshattn
