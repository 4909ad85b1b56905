#pragma once

#include <span>

#include "core/planner/plan.h"
#include "core/report/summary.h"

namespace meshattn {

/// A schedule that was planned, proved and simulated.
struct Evaluation {
  Schedule schedule;
  Trace trace;
  Summary summary;
};

/// @throws InvalidInput if this program was built without the simulator.
void require_simulator();

/// When each op of a proved schedule runs. @throws SimulationError
[[nodiscard]] Trace simulated(const Schedule& schedule, const Network& network, const CostModel& cost);

/// @throws InvalidInput if the tile or the memory limit does not fit, InvalidSchedule if the proof finds something.
/// `corners`: what the cluster may be besides; the schedule is planned for the cluster as it stands, and how long it
/// would take on these is estimated.
[[nodiscard]] Evaluation evaluate(const PlanRequest& request, const Network& network, const GpuProfile& gpu,
                                  std::span<const Cluster> corners);

}  // namespace meshattn
