#include "core/algorithms/order/greedy.h"

#include "core/algorithms/order/lane_state.h"

namespace meshattn {

namespace {

/// The arrival that unlocks most blocks per unit of its cost. A row unlocks a block with each received column, and
/// costs also the hop that will send its partial back.
Hop most_unlocked(const TileProblem& problem, const LaneState& state) {
  if (!state.can_receive_row()) return Hop::kColumnIn;
  if (!state.can_receive_column()) return Hop::kRowIn;
  const TileCosts& c = problem.costs;
  const double column_out = problem.pass == Pass::kBackward ? c.column_out : 0;
  // Blocks per unit of cost, cross-multiplied because a hop may cost nothing.
  const double row = (state.columns_in() + 1) * (c.column_in + column_out);
  const double column = (state.rows_in() + 1) * (c.row_in + c.row_out);
  return row >= column ? Hop::kRowIn : Hop::kColumnIn;
}

/// 1. While rows or columns are missing, the next hop is the arrival that unlocks most blocks per unit of its cost.
/// 2. A line whose blocks are done leaves before that, if the available blocks keep compute busy during its hop.
///    (`eager`: it always leaves, which holds less memory and is at times faster.)
/// 3. When all rows and columns have arrived, lines leave as they are done: rows in the order of their arrival; in a
///    backward pass, rows and columns in turn.
/// 4. Of the available blocks the one whose line leaves first runs first. Blocks that never leave run last: they keep
///    compute busy during waits.
LaneOrder greedy_order(const TileProblem& problem, bool eager) {
  const std::vector<Line> lines = lines_of(problem, Departures::kAlternating);
  LaneState state(problem, lines);
  LaneOrder order;
  while (true) {
    state.run_until_channel_is_free(&order.blocks);
    const bool all_in = !state.can_receive_row() && !state.can_receive_column();
    if (all_in && !state.can_send()) break;
    const Hop out = lines[static_cast<std::size_t>(state.sent())].out();
    const auto covered = [&] { return eager || state.backlog() * problem.costs.block >= problem.cost_of(out); };
    const bool leave = all_in || (state.can_send() && state.line_is_done() && covered());
    order.hops.push_back(leave ? out : most_unlocked(problem, state));
    if (leave)
      state.send(&order.blocks);
    else
      state.receive(order.hops.back(), false, &order.blocks);
  }
  state.finish(&order.blocks);
  return order;
}

}  // namespace

LaneOrder naive_order(const TileProblem& problem) {
  const std::vector<Line> lines = lines_of(problem, Departures::kRowsFirst);
  std::vector<Hop> channel(static_cast<std::size_t>(problem.count_of(Hop::kRowIn)), Hop::kRowIn);
  for (Hop hop : {Hop::kColumnIn, Hop::kRowOut, Hop::kColumnOut})
    channel.insert(channel.end(), static_cast<std::size_t>(problem.count_of(hop)), hop);
  return order_with_hops(problem, lines, channel);
}

std::vector<LaneOrder> greedy_orders(const TileProblem& problem) {
  return {greedy_order(problem, false), greedy_order(problem, true)};
}

}  // namespace meshattn
