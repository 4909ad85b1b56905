#include "tests/support/exhaustive_order.h"

#include <algorithm>
#include <limits>

namespace meshattn {

namespace {

/// The times at which compute is free and at which each hop so far has ended.
using Ends = std::vector<double>;

bool no_later(const Ends& x, const Ends& y) {
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] > y[i]) return false;
  return true;
}

/// All orders of blocks for one order of hops: for each set of blocks that have run, the times that none dominates.
class Lists {
 public:
  Lists(Tile tile, const TileCosts& costs, const std::vector<Hop>& channel)
      : tile_(tile), costs_(costs), channel_(channel), times_(std::size_t{1} << (tile.rows * tile.columns)) {}

  double best() {
    add(0, {0});
    for (std::size_t done = 0; done + 1 < times_.size(); ++done) {
      for (const Ends& ends : times_[done])
        for (int block = 0; block < tile_.rows * tile_.columns; ++block)
          if (!(done >> block & 1)) run(done, ends, block);
      times_[done] = {};
    }
    double best = std::numeric_limits<double>::infinity();
    for (const Ends& ends : times_.back())
      if (ends.size() == channel_.size() + 1) best = std::min(best, std::max(ends.front(), ends.back()));
    return best;
  }

 private:
  void run(std::size_t done, Ends ends, int block) {
    int row = block / tile_.columns, column = block % tile_.columns;
    for (std::size_t hop = 0; hop + 1 < ends.size(); ++hop) {
      if (channel_[hop] == Hop::kRowIn && row > 0 && --row == 0) ends[0] = std::max(ends[0], ends[hop + 1]);
      if (channel_[hop] == Hop::kColumnIn && column > 0 && --column == 0) ends[0] = std::max(ends[0], ends[hop + 1]);
    }
    if (row > 0 || column > 0) return;  // a hop that the block needs waits for other blocks
    ends[0] += costs_.block;
    add(done | std::size_t{1} << block, std::move(ends));
  }

  [[nodiscard]] bool is_done(std::size_t done, bool is_row, int line) const {
    for (int i = 0; i < (is_row ? tile_.columns : tile_.rows); ++i)
      if (!(done >> (is_row ? line * tile_.columns + i : i * tile_.columns + line) & 1)) return false;
    return true;
  }

  /// Runs the hops that these blocks allow. The first of them waited for the last block, or it would have run earlier.
  void add(std::size_t done, Ends ends) {
    int rows_out = 0, columns_out = 0;
    for (std::size_t hop = 0; hop < channel_.size(); ++hop) {
      const bool row = channel_[hop] == Hop::kRowOut, column = channel_[hop] == Hop::kColumnOut;
      if (row) ++rows_out;
      if (column) ++columns_out;
      if (hop + 1 < ends.size()) continue;
      double start = hop == 0 ? 0 : ends.back();
      if ((row && !is_done(done, true, rows_out)) || (column && !is_done(done, false, columns_out))) break;
      if (row || column) start = std::max(start, ends[0]);
      const double cost = row                            ? costs_.row_out
                          : column                       ? costs_.column_out
                          : channel_[hop] == Hop::kRowIn ? costs_.row_in
                                                         : costs_.column_in;
      ends.push_back(start + cost);
    }
    std::vector<Ends>& set = times_[done];
    for (const Ends& other : set)
      if (no_later(other, ends)) return;
    std::erase_if(set, [&](const Ends& other) { return no_later(ends, other); });
    set.push_back(std::move(ends));
  }

  Tile tile_;
  const TileCosts& costs_;
  const std::vector<Hop>& channel_;
  std::vector<std::vector<Ends>> times_;
};

/// Calls visit(order) for all sequences of this many hops of each kind.
template <class Visit>
void all_orders(std::vector<std::pair<Hop, int>>& left, std::vector<Hop>& order, Visit visit) {
  bool complete = true;
  for (auto& [hop, count] : left) {
    if (count == 0) continue;
    complete = false;
    --count;
    order.push_back(hop);
    all_orders(left, order, visit);
    order.pop_back();
    ++count;
  }
  if (complete) visit(order);
}

}  // namespace

double exhaustive_makespan(Tile tile, Pass pass, const TileCosts& costs) {
  const int a = tile.rows - 1, b = tile.columns - 1;
  std::vector<std::pair<Hop, int>> left{
      {Hop::kRowIn, a}, {Hop::kColumnIn, b}, {Hop::kRowOut, a}, {Hop::kColumnOut, pass == Pass::kForward ? 0 : b}};
  std::vector<Hop> order;
  double best = std::numeric_limits<double>::infinity();
  all_orders(left, order, [&](const std::vector<Hop>& channel) {
    // A row leaves after all columns and its own hop, a column after all rows: other orders cannot end.
    int rows = 0, columns = 0, rows_out = 0, columns_out = 0;
    for (Hop hop : channel) {
      rows += hop == Hop::kRowIn;
      columns += hop == Hop::kColumnIn;
      if (hop == Hop::kRowOut && (columns < b || ++rows_out > rows)) return;
      if (hop == Hop::kColumnOut && (rows < a || ++columns_out > columns)) return;
    }
    best = std::min(best, Lists(tile, costs, channel).best());
  });
  return best;
}

}  // namespace meshattn
