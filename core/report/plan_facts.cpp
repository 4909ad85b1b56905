#include "core/report/plan_facts.h"

#include <algorithm>

#include "core/planner/tile_costs.h"

namespace meshattn {

namespace {

OneLaneTimes one_lane_times(const Configuration& c, const TileCosts& costs, const TileBytes& bytes) {
  const auto plan = [&](Order order) { return order_tile(c.form.tile, c.problem.pass, order, costs, bytes); };
  const OrderedTile optimal = plan(Order::kOptimal);
  return {plan(Order::kNaive).makespan, plan(Order::kGreedy).makespan, optimal.makespan, optimal.lower_bound};
}

void count_ops(const Schedule& s, PlanFacts& facts) {
  for (Rank r = 0; r < s.problem.ranks; ++r) {
    std::uint64_t exchanges = 0, attends = 0;
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) {
      exchanges += std::holds_alternative<Exchange>(s.ops[op]);
      attends += std::holds_alternative<Attend>(s.ops[op]) || std::holds_alternative<AttendBackward>(s.ops[op]);
    }
    facts.exchanges_max = std::max(facts.exchanges_max, exchanges);
    facts.attends_max = std::max(facts.attends_max, attends);
  }
}

}  // namespace

PlanFacts facts_of(const Phase& phase, const Network& network, const CostModel& cost) {
  const Configuration& c = phase.configuration;
  const Schedule& s = phase.schedule;
  PlanFacts facts;
  facts.placed = network.placement().name;
  count_ops(s, facts);
  facts.ops = s.ops.size();
  facts.transfers = s.transfers.size();
  facts.values = s.values.size();
  facts.volume = volume_of(s, network);
  facts.peak_bytes = s.peak_bytes;
  facts.bytes = tile_bytes(c);
  if (c.form.steps == Steps::kPlanned) facts.one_lane = one_lane_times(c, tile_costs(c, network, cost), facts.bytes);
  facts.findings = verify(s);
  return facts;
}

}  // namespace meshattn
