#include "tests/support/plans.h"

#include <algorithm>
#include <array>

namespace meshattn::testing {

Problem small_problem(int ranks, Pass pass, Mask mask, Partition partition, int heads, int kv_heads) {
  const std::int64_t seq = 2L * ranks * pieces_of(partition, mask.documents);
  return {{seq, seq, 1, heads, kv_heads, 1, Dtype::kBf16}, mask, partition, pass, ranks};
}

OrderedTile simple_plan(Tile tile, Pass pass) {
  OrderedTile plan{tile, pass, {}};
  const bool backward = pass == Pass::kBackward;
  for (int row = 1; row < tile.rows; ++row) plan.steps.push_back(Hop::kRowIn);
  for (int column = 1; column < tile.columns; ++column) plan.steps.push_back(Hop::kColumnIn);
  for (int i = 1; i <= tile.rows; ++i) {
    const int row = i % tile.rows;
    plan.steps.push_back(Rectangle{row, row + 1, 0, tile.columns});
    if (row > 0 && !backward) plan.steps.push_back(Hop::kRowOut);
  }
  for (int row = 1; row < tile.rows && backward; ++row) plan.steps.push_back(Hop::kRowOut);
  for (int column = 1; column < tile.columns && backward; ++column) plan.steps.push_back(Hop::kColumnOut);
  return plan;
}

namespace {

/// The steps of a tile that have been issued, and those that could be next.
class RandomPlanner {
 public:
  RandomPlanner(Tile tile, Pass pass, std::mt19937& random)
      : random_(random), plan_{tile, pass, {}}, done_(static_cast<std::size_t>(tile.rows * tile.columns)) {}

  OrderedTile run() {
    for (std::vector<TileStep> next = choices(); !next.empty(); next = choices())
      issue(next[std::uniform_int_distribution<std::size_t>(0, next.size() - 1)(random_)]);
    return plan_;
  }

 private:
  [[nodiscard]] int& hops(Hop hop) { return hops_[static_cast<std::size_t>(hop)]; }
  [[nodiscard]] std::vector<bool>::reference done(int row, int column) {
    return done_[static_cast<std::size_t>(row * plan_.tile.columns + column)];
  }
  bool row_done(int row) {
    for (int column = 0; column < plan_.tile.columns; ++column)
      if (!done(row, column)) return false;
    return true;
  }
  bool column_done(int column) {
    for (int row = 0; row < plan_.tile.rows; ++row)
      if (!done(row, column)) return false;
    return true;
  }

  std::vector<TileStep> choices() {
    const auto [rows, columns] = plan_.tile;
    std::vector<TileStep> next;
    if (hops(Hop::kRowIn) + 1 < rows) next.push_back(Hop::kRowIn);
    if (hops(Hop::kColumnIn) + 1 < columns) next.push_back(Hop::kColumnIn);
    if (const int row = hops(Hop::kRowOut) + 1; row < rows && row_done(row)) next.push_back(Hop::kRowOut);
    if (const int column = hops(Hop::kColumnOut) + 1;
        plan_.pass == Pass::kBackward && column < columns && column_done(column))
      next.push_back(Hop::kColumnOut);
    for (int row = 0; row <= hops(Hop::kRowIn); ++row)
      for (int column = 0; column <= hops(Hop::kColumnIn); ++column)
        for (int end = column; end <= hops(Hop::kColumnIn) && !done(row, end); ++end)
          next.push_back(Rectangle{row, row + 1, column, end + 1});
    return next;
  }

  void issue(const TileStep& step) {
    plan_.steps.push_back(step);
    if (const Hop* hop = std::get_if<Hop>(&step)) {
      ++hops(*hop);
      return;
    }
    const auto& rect = std::get<Rectangle>(step);
    for (int column = rect.column_begin; column < rect.column_end; ++column) done(rect.row_begin, column) = true;
  }

  std::mt19937& random_;
  OrderedTile plan_;
  std::vector<bool> done_;
  std::array<int, 4> hops_{};
};

}  // namespace

OrderedTile random_plan(Tile tile, Pass pass, std::mt19937& random) { return RandomPlanner(tile, pass, random).run(); }

}  // namespace meshattn::testing
