#include "core/algorithms/order/order.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/algorithms/order/greedy.h"
#include "core/algorithms/order/memory.h"
#include "core/algorithms/order/optimal.h"
#include "core/algorithms/order/steps.h"
#include "core/algorithms/order/tile_problem.h"
#include "core/base/enum_names.h"
#include "core/base/error.h"

namespace meshattn {

namespace {

constexpr EnumNames<Order, 4> kOrders{{{Order::kNaive, "naive"},
                                       {Order::kGreedy, "greedy"},
                                       {Order::kOptimal, "optimal"},
                                       {Order::kTopology, "topology"}}};

void check(const TileProblem& problem) {
  const auto [a, b] = problem.tile;
  if (a < 1 || b < 1)
    throw InvalidInput("tile " + std::to_string(a) + "x" + std::to_string(b) + " needs at least one row and column");
  const TileCosts& c = problem.costs;
  for (double cost : {c.row_in, c.column_in, c.row_out, c.column_out, c.block})
    if (!(cost >= 0) || cost == std::numeric_limits<double>::infinity())
      throw InvalidInput("a cost of " + std::to_string(cost) + ": costs must be finite and not negative");
}

OrderedTile ordered(const TileProblem& problem, const TileBytes& bytes, std::vector<TileStep> steps) {
  OrderedTile tile{problem.tile, problem.pass, std::move(steps), 0, 0, 0};
  tile.makespan = makespan_of(tile, problem.costs);
  tile.peak_bytes = peak_bytes_of(problem.tile, bytes, tile.steps);
  return tile;
}

/// The candidate that holds least memory among the fastest, but for rounding; nullptr if there are no candidates.
const OrderedTile* best_of(const std::vector<OrderedTile>& candidates) {
  double fastest = std::numeric_limits<double>::infinity();
  for (const OrderedTile& tile : candidates) fastest = std::min(fastest, tile.makespan);
  const OrderedTile* best = nullptr;
  for (const OrderedTile& tile : candidates)
    if (tile.makespan <= fastest * (1 + kRounding) && (!best || tile.peak_bytes < best->peak_bytes)) best = &tile;
  return best;
}

/// The orders that the rule makes.
std::vector<OrderedTile> candidates_of(const TileProblem& problem, Order order, const TileBytes& bytes,
                                       double* lower_bound) {
  std::vector<OrderedTile> candidates;
  const auto add = [&](const LaneOrder& lanes) {
    candidates.push_back(ordered(problem, bytes, steps_of(problem, lanes)));
  };
  if (order != Order::kGreedy) add(naive_order(problem));
  if (order != Order::kNaive)
    for (const LaneOrder& lanes : greedy_orders(problem)) add(lanes);
  double known = candidates.front().makespan;
  for (const OrderedTile& tile : candidates) known = std::min(known, tile.makespan);
  const Solution solution = solve(problem, known, order == Order::kOptimal);
  *lower_bound = solution.lower_bound;
  for (const LaneOrder& lanes : solution.orders) add(lanes);
  if (order == Order::kNaive) return candidates;
  // At times as fast, with less memory. An order that is faster than greedy is not greedy.
  for (const LaneOrder& lanes : low_memory_orders(problem)) {
    add(lanes);
    if (order == Order::kGreedy && candidates.back().makespan < known * (1 - kRounding)) candidates.pop_back();
  }
  return candidates;
}

/// The fastest order that keeps to the limit, or nullopt.
std::optional<OrderedTile> best_within(const TileProblem& problem, Order order, const TileBytes& bytes,
                                       std::vector<OrderedTile> candidates, std::uint64_t limit) {
  if (order != Order::kOptimal)
    for (const LaneOrder& lanes : low_memory_orders(problem))
      candidates.push_back(ordered(problem, bytes, steps_of(problem, lanes)));
  std::vector<OrderedTile> fitting;
  for (const OrderedTile& tile : candidates)
    if (auto steps = delay_hops_to_fit(problem.tile, bytes, tile.steps, limit))
      fitting.push_back(ordered(problem, bytes, std::move(*steps)));
  if (fitting.empty()) return std::nullopt;
  return *best_of(fitting);
}

}  // namespace

std::string_view name_of(Order order) { return kOrders.name_of(order); }

Order parse_order(std::string_view name) { return kOrders.parse("order", name); }

double makespan_of(const OrderedTile& tile, const TileCosts& costs) {
  const TileProblem problem{tile.tile, tile.pass, costs};
  std::vector<double> row_in(static_cast<std::size_t>(tile.tile.rows)), row_done(row_in.size());
  std::vector<double> column_in(static_cast<std::size_t>(tile.tile.columns)), column_done(column_in.size());
  std::size_t rows = 0, columns = 0, rows_out = 0, columns_out = 0;
  double channel = 0, compute = 0;
  for (const TileStep& step : tile.steps) {
    if (const auto* hop = std::get_if<Hop>(&step)) {
      if (*hop == Hop::kRowOut) channel = std::max(channel, row_done[++rows_out]);
      if (*hop == Hop::kColumnOut) channel = std::max(channel, column_done[++columns_out]);
      if (*hop == Hop::kRowIn || *hop == Hop::kColumnIn) channel = std::max(channel, compute);
      channel += problem.cost_of(*hop);
      if (*hop == Hop::kRowIn) row_in[++rows] = channel;
      if (*hop == Hop::kColumnIn) column_in[++columns] = channel;
      continue;
    }
    const Rectangle& r = std::get<Rectangle>(step);
    for (int i = r.row_begin; i < r.row_end; ++i) compute = std::max(compute, row_in[static_cast<std::size_t>(i)]);
    for (int i = r.column_begin; i < r.column_end; ++i)
      compute = std::max(compute, column_in[static_cast<std::size_t>(i)]);
    compute += (r.row_end - r.row_begin) * (r.column_end - r.column_begin) * costs.block;
    for (int i = r.row_begin; i < r.row_end; ++i) row_done[static_cast<std::size_t>(i)] = compute;
    for (int i = r.column_begin; i < r.column_end; ++i) column_done[static_cast<std::size_t>(i)] = compute;
  }
  return std::max(channel, compute);
}

namespace {

/// Costs of one lane that is as fast as a lane for rows and one for columns side by side.
TileCosts costs_of_two_lanes(const TileProblem& p) {
  const double rows =
      p.count_of(Hop::kRowIn) * p.cost_of(Hop::kRowIn) + p.count_of(Hop::kRowOut) * p.cost_of(Hop::kRowOut);
  const double all = p.cost_of_all_hops();
  const TileCosts& c = p.costs;
  const double side_by_side = std::min(all, std::max({rows, all - rows, c.busiest_link}));
  const double part = all > 0 ? side_by_side / all : 1;
  return {part * c.row_in, part * c.column_in, part * c.row_out, part * c.column_out, c.block, 0};
}

}  // namespace

OrderedTile order_tile(Tile tile, Pass pass, Order order, const TileCosts& costs, const TileBytes& bytes) {
  return *order_tile_within(tile, pass, order, costs, bytes, UINT64_MAX);
}

std::optional<OrderedTile> order_tile_within(Tile tile, Pass pass, Order order, const TileCosts& costs,
                                             const TileBytes& bytes, std::uint64_t memory_limit) {
  if (order == Order::kTopology)
    return order_tile_within(tile, pass, Order::kOptimal, costs_of_two_lanes({tile, pass, costs}), bytes, memory_limit);
  const TileProblem problem{tile, pass, costs};
  check(problem);
  TileBytes held = bytes;
  if (pass == Pass::kForward) held.column_sum = held.column_out = 0;
  double lower_bound = 0;
  std::vector<OrderedTile> candidates = candidates_of(problem, order, held, &lower_bound);
  std::optional<OrderedTile> best = *best_of(candidates);
  if (best->peak_bytes > memory_limit) best = best_within(problem, order, held, std::move(candidates), memory_limit);
  if (best) best->lower_bound = std::min(lower_bound, best->makespan);  // a bound above the makespan is rounding
  return best;
}

}  // namespace meshattn
