#include "sim/evaluate.h"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/planner/end_makespans.h"
#include "core/planner/placement_search.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/passes/verify/findings.h"
#include "sim/simulator.h"

namespace meshattn::sim {

namespace {

/// Seconds of wall time since the last call, or since it was made.
class Stopwatch {
 public:
  double lap_s() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// Proves, simulates and summarises a plan.
Result run(Plan plan, const Cluster& cluster, std::span<const Cluster> ends, const Progress& progress) {
  const auto tell = [&](const std::string& stage) {
    if (progress) progress(stage);
  };
  Result result = result_of(std::move(plan));
  const Placement& placement = result.plan.placement;
  const Network network(cluster, placement);
  for (const Phase& phase : result.plan.phases) {
    const Problem& problem = phase.configuration.problem;
    const Schedule& s = phase.schedule;
    tell(fmt::format("{} planned: {} ops in {:.3f} s", name_of(problem.pass), s.ops.size(), phase.planning_s));
    WallTimes wall{.plan_s = phase.planning_s};
    Stopwatch watch;
    if (const auto findings = verify(s); !findings.empty())
      throw InvalidSchedule("the schedule is wrong: " + findings_text(findings));
    wall.verify_s = watch.lap_s();
    tell(fmt::format("proved in {:.3f} s", wall.verify_s));
    const Trace& trace = result.traces.emplace_back(simulate_in_child(s, network, phase.times));
    wall.simulate_s = watch.lap_s();
    tell(fmt::format("simulated in {:.3f} s", wall.simulate_s));
    const CostModel cost(cluster.gpu, problem);
    Summary& summary = result.summaries.emplace_back(summarise(s, network, cost, phase.times, trace, wall));
    summary.slices = phase.configuration.form.slices;
    summary.corners_s = end_makespans_s(s, placement, ends, summary.makespan_s, phase.estimate_s);
  }
  return result;
}

}  // namespace

Result evaluate(const Request& request, const Progress& progress) {
  return run(make_plan(request), request.cluster, request.ends, progress);
}

Result evaluate(const Configuration& pass, const Cluster& cluster, const Progress& progress) {
  Plan plan{linear_placement(pass.problem.ranks), {}};
  const Network network(cluster, plan.placement);
  plan.phases.push_back(plan_phase(pass, network, CostModel(cluster.gpu, pass.problem)));
  return run(std::move(plan), cluster, {}, progress);
}

}  // namespace meshattn::sim
