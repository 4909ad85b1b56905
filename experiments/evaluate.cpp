#include "experiments/evaluate.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "core/base/error.h"
#include "core/schedule/passes/verify.h"
#include "experiments/cli/text/findings.h"
#include "experiments/corners.h"
#include "sim/simulator.h"

namespace meshattn {

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

}  // namespace

void require_simulator() {}

/// In a process of its own: SimGrid allows one simulation in each.
Trace simulated(const Schedule& schedule, const Network& network, const CostModel& cost) {
  auto result = sim::simulate_isolated(schedule, network, cost);
  if (const auto* failure = std::get_if<sim::Failure>(&result)) throw SimulationError(failure->reason);
  return std::get<Trace>(std::move(result));
}

Evaluation evaluate(const PlanRequest& request, const Network& network, const GpuProfile& gpu,
                    std::span<const Cluster> corners) {
  const CostModel cost(gpu, request.problem);
  Stopwatch watch;
  WallTimes wall;
  Evaluation result;
  Plan plan = make_plan(request, network, cost);
  result.schedule = std::move(plan.schedule);
  wall.plan_s = watch.lap_s();
  spdlog::info("{} planned: {} ops in {:.3f} s", name_of(request.problem.pass), result.schedule.ops.size(),
               wall.plan_s);
  if (const auto findings = verify(result.schedule); !findings.empty())
    throw InvalidSchedule("the schedule is wrong: " + text_of(findings));
  wall.verify_s = watch.lap_s();
  spdlog::info("proved in {:.3f} s", wall.verify_s);
  result.trace = simulated(result.schedule, network, cost);
  wall.simulate_s = watch.lap_s();
  spdlog::info("simulated in {:.3f} s", wall.simulate_s);
  result.summary = summarise(result.schedule, network, cost, result.trace, wall);
  result.summary.slices = request.method.form.slices;
  result.summary.corners_s =
      corners_s(result.schedule, network.placement(), corners, result.summary.makespan_s, plan.estimate_s);
  return result;
}

}  // namespace meshattn
