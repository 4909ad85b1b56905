#include "core/report/plan_facts.h"

#include "core/tile_costs.h"

namespace meshattn {

namespace {

OneLaneTimes one_lane_times(const PlanRequest& request, const TileCosts& costs, const TileBytes& bytes) {
  const auto plan = [&](Order order) {
    return plan_tile(request.method.form.tile, request.problem.pass, order, costs, bytes);
  };
  const TilePlan optimal = plan(Order::kOptimal);
  return {plan(Order::kNaive).makespan, plan(Order::kGreedy).makespan, optimal.makespan, optimal.lower_bound};
}

}  // namespace

PlanFacts facts_of(const Plan& plan, const PlanRequest& request, const Network& network, const CostModel& cost) {
  const Schedule& s = plan.schedule;
  PlanFacts facts;
  facts.placed = network.placement().name;
  for (const TileStep& step : plan.tile_plan.steps)
    ++(std::holds_alternative<Hop>(step) ? facts.hops : facts.rectangles);
  facts.ops = s.ops.size();
  facts.transfers = s.transfers.size();
  facts.values = s.values.size();
  for (const Op& op : s.ops) {
    if (const auto* a = std::get_if<Attend>(&op)) facts.blocks += std::uint64_t{a->row_count} * a->column_count;
    if (const auto* b = std::get_if<AttendBackward>(&op)) facts.blocks += std::uint64_t{b->row_count} * b->column_count;
  }
  facts.volume = volume_of(s, network);
  facts.peak_bytes = s.peak_bytes;
  facts.costs = tile_costs(request, network, cost);
  facts.bytes = tile_bytes(request);
  if (request.method.form.steps == Steps::kPlanned && request.method.generator == Generator::kMesh)
    facts.one_lane = one_lane_times(request, facts.costs, facts.bytes);
  facts.findings = validate(s);
  return facts;
}

}  // namespace meshattn
