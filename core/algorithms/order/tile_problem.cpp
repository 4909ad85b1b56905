#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

double TileProblem::cost_of(Hop hop) const {
  switch (hop) {
    case Hop::kRowIn:
      return costs.row_in;
    case Hop::kColumnIn:
      return costs.column_in;
    case Hop::kRowOut:
      return costs.row_out;
    case Hop::kColumnOut:
      return costs.column_out;
  }
  return 0;
}

int TileProblem::count_of(Hop hop) const {
  if (hop == Hop::kColumnOut && pass == Pass::kForward) return 0;
  return (hop == Hop::kRowIn || hop == Hop::kRowOut ? tile.rows : tile.columns) - 1;
}

double TileProblem::cost_of_all_hops() const {
  double sum = 0;
  for (Hop hop : {Hop::kRowIn, Hop::kColumnIn, Hop::kRowOut, Hop::kColumnOut}) sum += count_of(hop) * cost_of(hop);
  return sum;
}

std::vector<Line> lines_of(const TileProblem& problem, Departures departures) {
  const auto [a, b] = problem.tile;
  const int row_lines = problem.count_of(Hop::kRowOut), column_lines = problem.count_of(Hop::kColumnOut);
  std::vector<Line> lines;
  int rows = 0, columns = 0;
  while (rows < row_lines || columns < column_lines) {
    bool row = rows < row_lines;
    if (row && columns < column_lines)
      row = departures == Departures::kRowsFirst ||
            (departures == Departures::kAlternating && rows * column_lines <= columns * row_lines);
    if (row)
      lines.push_back({true, ++rows, columns, b - columns});
    else
      lines.push_back({false, ++columns, rows, a - rows});
  }
  lines.push_back({true, 0, columns, b - columns});
  return lines;
}

}  // namespace meshattn
