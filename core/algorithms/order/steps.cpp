#include "core/algorithms/order/steps.h"

#include <algorithm>

#include "core/algorithms/order/timing.h"

namespace meshattn {

namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

struct TimedRectangle {
  Rectangle blocks;
  double start = 0;
  double end = 0;
};

/// The hops between which a row or column is on the rank: the one that brings it and the one that takes it away,
/// counted from 1. The rank's own row and column are there from 0 on and stay.
struct Stay {
  std::size_t from = 0;
  std::size_t to = 0;
};

std::vector<Stay> stays_of(const LaneOrder& order, Hop in, Hop out, int lines) {
  std::vector<Stay> stays(at(lines), {0, order.hops.size() + 1});
  std::size_t received = 0, sent = 0;
  for (std::size_t i = 0; i < order.hops.size(); ++i) {
    if (order.hops[i] == in) stays[++received].from = i + 1;
    if (order.hops[i] == out) stays[++sent].to = i + 1;
  }
  return stays;
}

/// Joins neighbours on the compute lane to rectangles: a strip along a row or column, then equal strips beside it.
class RectangleMerger {
 public:
  RectangleMerger(const TileProblem& problem, const LaneOrder& order, const StartTimes& times, const LatestTimes& late)
      : block_cost_(problem.costs.block),
        order_(order),
        times_(times),
        late_(late),
        rows_(stays_of(order, Hop::kRowIn, Hop::kRowOut, problem.tile.rows)),
        columns_(stays_of(order, Hop::kColumnIn, Hop::kColumnOut, problem.tile.columns)) {
    for (std::size_t i = 0; i < order_.hops.size(); ++i)
      if (!is_incoming(order_.hops[i])) departures_.push_back(times_.hops[i]);
  }

  std::vector<TimedRectangle> run() {
    std::vector<TimedRectangle> made;
    std::size_t departure = 0;
    for (std::size_t first = 0; first < order_.blocks.size();) {
      start_ = times_.blocks[first];
      while (departure < departures_.size() && departures_[departure] <= start_) ++departure;
      cut_ = departure < departures_.size() ? departures_[departure] : kNever;
      const Joined all = widened(longer(strip(first, true), strip(first, false)), first);
      made.push_back({all.blocks, start_, times_.blocks[all.next - 1] + block_cost_});
      first = all.next;
    }
    return made;
  }

 private:
  struct Joined {
    Rectangle blocks;
    std::size_t next = 0;  ///< index of the first block after it
    Stay stay;             ///< of all its rows and columns
    bool along_row = true;
  };

  [[nodiscard]] Joined one(std::size_t i) const {
    const auto [row, column] = order_.blocks[i];
    return {{row, row + 1, column, column + 1}, i + 1, common(rows_[at(row)], columns_[at(column)]), true};
  }

  static Stay common(const Stay& x, const Stay& y) { return {std::max(x.from, y.from), std::min(x.to, y.to)}; }

  static const Joined& longer(const Joined& x, const Joined& y) { return x.next >= y.next ? x : y; }

  /// Whether block i can extend a rectangle: it runs right after the block before it, no departure begins in between
  /// (its partials are combined there), and its row and column arrive by the start of the rectangle, however late.
  [[nodiscard]] bool follows(std::size_t i) const {
    if (i >= order_.blocks.size() || times_.blocks[i] >= cut_) return false;
    const auto [row, column] = order_.blocks[i];
    return times_.blocks[i] == times_.blocks[i - 1] + block_cost_ && late_.rows[at(row)] <= start_ &&
           late_.columns[at(column)] <= start_;
  }

  /// Adds a neighbour if the result is a rectangle and delays no departure. @returns whether it did.
  [[nodiscard]] bool join(Joined& all, const Joined& part) const {
    const Stay stay = common(all.stay, part.stay);
    if (stay.from >= stay.to) return false;
    if (stay.to <= times_.hops.size() && times_.blocks[part.next - 1] + block_cost_ > times_.hops[stay.to - 1])
      return false;
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
    all.stay = stay;
    return true;
  }

  /// The longest strip from block `first` on, along its row or its column.
  [[nodiscard]] Joined strip(std::size_t first, bool along_row) const {
    Joined all = one(first);
    all.along_row = along_row;
    while (follows(all.next)) {
      const auto [row, column] = order_.blocks[all.next];
      const bool same_line = along_row ? row == all.blocks.row_begin : column == all.blocks.column_begin;
      if (!same_line || !join(all, one(all.next))) break;
    }
    return all;
  }

  /// Adds strips of the same length beside a strip that begins at block `first`, as many as possible.
  [[nodiscard]] Joined widened(Joined all, std::size_t first) const {
    const std::size_t length = all.next - first;
    while (true) {
      if (!follows(all.next)) return all;
      Joined part = one(all.next);
      while (part.next < all.next + length && follows(part.next) && join(part, one(part.next))) continue;
      if (part.next != all.next + length || !join(all, part)) return all;
    }
  }

  double block_cost_;
  const LaneOrder& order_;
  const StartTimes& times_;
  const LatestTimes& late_;
  std::vector<Stay> rows_, columns_;
  std::vector<double> departures_;
  double start_ = 0;
  double cut_ = kNever;
};

/// Lists hops among the rectangles. A departure follows the rectangles that begin before it. An arrival follows those
/// that have ended by its start, and so do the departures before it.
std::vector<TileStep> interleave(const TileProblem& problem, const LaneOrder& order, const LatestTimes& late,
                                 const std::vector<TimedRectangle>& rectangles) {
  const double rounding = kRounding * std::max(problem.cost_of_all_hops(), problem.blocks() * problem.costs.block);
  std::vector<std::size_t> row_use(late.rows.size()), column_use(late.columns.size());  // first rectangle of each
  for (std::size_t i = rectangles.size(); i-- > 0;) {
    const Rectangle& r = rectangles[i].blocks;
    for (int row = r.row_begin; row < r.row_end; ++row) row_use[at(row)] = i;
    for (int column = r.column_begin; column < r.column_end; ++column) column_use[at(column)] = i;
  }
  std::vector<std::size_t> position(order.hops.size());
  std::size_t begun = 0, ended = 0, row = 0, column = 0;
  for (std::size_t i = 0; i < position.size(); ++i) {
    while (begun < rectangles.size() && rectangles[begun].start < late.hops[i]) ++begun;
    while (ended < rectangles.size() && rectangles[ended].end <= late.hops[i] + rounding) ++ended;
    position[i] = std::max(begun, ended);
    if (order.hops[i] == Hop::kRowIn) position[i] = std::min(ended, row_use[++row]);
    if (order.hops[i] == Hop::kColumnIn) position[i] = std::min(ended, column_use[++column]);
  }
  for (std::size_t i = position.size(); i-- > 1;) position[i - 1] = std::min(position[i - 1], position[i]);
  std::vector<TileStep> steps;
  for (std::size_t i = 0, r = 0; i < position.size() || r < rectangles.size();)
    if (i < position.size() && position[i] <= r)
      steps.emplace_back(order.hops[i++]);
    else
      steps.emplace_back(rectangles[r++].blocks);
  return steps;
}

}  // namespace

std::vector<TileStep> steps_of(const TileProblem& problem, const LaneOrder& order) {
  const StartTimes times = earliest_starts(problem, order);
  const LatestTimes late = latest_times(problem, order, times);
  return interleave(problem, order, late, RectangleMerger(problem, order, times, late).run());
}

}  // namespace meshattn
