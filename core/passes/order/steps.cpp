#include "core/passes/order/steps.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace meshattn {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

bool is_in(Hop hop) { return hop == Hop::kRowIn || hop == Hop::kColumnIn; }

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// When hops and blocks begin if each does as soon as it can, and when each row and column is needed and may leave.
struct Times {
  std::vector<double> hops;
  std::vector<double> blocks;
  std::vector<double> row_out;     ///< start of the hop that takes it away; kNever if it stays
  std::vector<double> column_out;  ///< likewise
};

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
    times_.row_out.assign(row_in_.size(), kNever);
    times_.column_out.assign(column_in_.size(), kNever);
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
      (row ? times_.row_out : times_.column_out)[line] = start;
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

/// When hops begin and what they bring arrives, if all are as late as no block and no departure has to wait.
struct Late {
  std::vector<double> hops;
  std::vector<double> rows;     ///< arrival
  std::vector<double> columns;  ///< arrival
};

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

struct TimedRectangle {
  Rectangle blocks;
  double start = 0;
  double end = 0;
};

/// Joins neighbours in the compute lane: first a strip along a row or column, then equal strips beside it.
class Merger {
 public:
  Merger(const TileProblem& problem, const Lanes& lanes, const Times& times, const Late& late)
      : block_cost_(problem.costs.block), lanes_(lanes), times_(times), late_(late) {
    for (std::size_t i = 0; i < lanes_.channel.size(); ++i)
      if (!is_in(lanes_.channel[i])) departures_.push_back(times_.hops[i]);
  }

  std::vector<TimedRectangle> run() {
    std::vector<TimedRectangle> made;
    std::size_t departure = 0;
    for (std::size_t first = 0; first < lanes_.compute.size();) {
      start_ = times_.blocks[first];
      while (departure < departures_.size() && departures_[departure] <= start_) ++departure;
      cut_ = departure < departures_.size() ? departures_[departure] : kNever;
      const Joined all = beside(longer(strip(first, true), strip(first, false)), first);
      made.push_back({all.blocks, start_, times_.blocks[all.next - 1] + block_cost_});
      first = all.next;
    }
    return made;
  }

 private:
  struct Joined {
    Rectangle blocks;
    std::size_t next = 0;  ///< the first block that is not in it
    double leave_by = 0;   ///< first departure of its rows and columns
    bool along_row = true;
  };

  [[nodiscard]] Joined one(std::size_t i) const {
    const auto [row, column] = lanes_.compute[i];
    const double leave_by = std::min(times_.row_out[at(row)], times_.column_out[at(column)]);
    return {{row, row + 1, column, column + 1}, i + 1, leave_by, true};
  }

  static const Joined& longer(const Joined& x, const Joined& y) { return x.next >= y.next ? x : y; }

  /// Block i runs right after the one before it, no departure begins in between (its partials are combined there), and
  /// all that it needs is there when the rectangle starts, however late it comes.
  [[nodiscard]] bool follows(std::size_t i) const {
    if (i >= lanes_.compute.size() || times_.blocks[i] >= cut_) return false;
    const auto [row, column] = lanes_.compute[i];
    return times_.blocks[i] == times_.blocks[i - 1] + block_cost_ && late_.rows[at(row)] <= start_ &&
           late_.columns[at(column)] <= start_;
  }

  /// Adds a neighbour if that leaves a rectangle, and one that keeps nothing from leaving.
  [[nodiscard]] bool join(Joined& all, const Joined& part) const {
    const double leave_by = std::min(all.leave_by, part.leave_by);
    if (times_.blocks[part.next - 1] + block_cost_ > leave_by) return false;
    Rectangle& r = all.blocks;
    const Rectangle& p = part.blocks;
    if (r.column_begin == p.column_begin && r.column_end == p.column_end &&
        (r.row_end == p.row_begin || p.row_end == r.row_begin)) {
      r.row_begin = std::min(r.row_begin, p.row_begin);
      r.row_end = std::max(r.row_end, p.row_end);
    } else if (r.row_begin == p.row_begin && r.row_end == p.row_end &&
               (r.column_end == p.column_begin || p.column_end == r.column_begin)) {
      r.column_begin = std::min(r.column_begin, p.column_begin);
      r.column_end = std::max(r.column_end, p.column_end);
    } else {
      return false;
    }
    all.next = part.next;
    all.leave_by = leave_by;
    return true;
  }

  [[nodiscard]] Joined strip(std::size_t first, bool along_row) const {
    Joined all = one(first);
    all.along_row = along_row;
    while (follows(all.next)) {
      const auto [row, column] = lanes_.compute[all.next];
      const bool same_line = along_row ? row == all.blocks.row_begin : column == all.blocks.column_begin;
      if (!same_line || !join(all, one(all.next))) break;
    }
    return all;
  }

  [[nodiscard]] Joined beside(Joined all, std::size_t first) const {
    const std::size_t length = all.next - first;
    while (true) {
      if (!follows(all.next)) return all;
      Joined part = one(all.next);
      while (part.next < all.next + length && follows(part.next) && join(part, one(part.next))) continue;
      if (part.next != all.next + length || !join(all, part)) return all;
    }
  }

  double block_cost_;
  const Lanes& lanes_;
  const Times& times_;
  const Late& late_;
  std::vector<double> departures_;
  double start_ = 0;
  double cut_ = kNever;
};

/// A departure follows the rectangles that begin before it; what arrives follows those that have ended by then, and
/// pulls the departures before it with it.
std::vector<TileStep> list(const TileProblem& problem, const Lanes& lanes, const Late& late,
                           const std::vector<TimedRectangle>& rectangles) {
  const double noise = 1e-12 * std::max(problem.cost_of_all_hops(), problem.blocks() * problem.costs.block);
  std::vector<std::size_t> row_use(late.rows.size()), column_use(late.columns.size());  // first rectangle of each
  for (std::size_t i = rectangles.size(); i-- > 0;) {
    const Rectangle& r = rectangles[i].blocks;
    for (int row = r.row_begin; row < r.row_end; ++row) row_use[at(row)] = i;
    for (int column = r.column_begin; column < r.column_end; ++column) column_use[at(column)] = i;
  }
  std::vector<std::size_t> position(lanes.channel.size());
  std::size_t begun = 0, ended = 0, row = 0, column = 0;
  for (std::size_t i = 0; i < position.size(); ++i) {
    while (begun < rectangles.size() && rectangles[begun].start < late.hops[i]) ++begun;
    while (ended < rectangles.size() && rectangles[ended].end <= late.hops[i] + noise) ++ended;
    position[i] = std::max(begun, ended);
    if (lanes.channel[i] == Hop::kRowIn) position[i] = std::min(ended, row_use[++row]);
    if (lanes.channel[i] == Hop::kColumnIn) position[i] = std::min(ended, column_use[++column]);
  }
  for (std::size_t i = position.size(); i-- > 1;) position[i - 1] = std::min(position[i - 1], position[i]);
  std::vector<TileStep> steps;
  for (std::size_t i = 0, r = 0; i < position.size() || r < rectangles.size();)
    if (i < position.size() && position[i] <= r)
      steps.emplace_back(lanes.channel[i++]);
    else
      steps.emplace_back(rectangles[r++].blocks);
  return steps;
}

}  // namespace

std::vector<TileStep> steps_of(const TileProblem& problem, const Lanes& lanes) {
  const Times times = Timing(problem, lanes).run();
  const Late late = late_of(problem, lanes, times);
  return list(problem, lanes, late, Merger(problem, lanes, times, late).run());
}

}  // namespace meshattn
