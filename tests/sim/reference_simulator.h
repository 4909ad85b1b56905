#pragma once

#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// Simulates a schedule by `sim::simulate`'s rules, but without SimGrid and without the engine: from event to event,
/// every flow at its max-min fair rate. Slow and simple. @throws SimulationError on a deadlock.
[[nodiscard]] Trace simulate_reference(const Schedule& schedule, const Network& network, const CostModel& cost);

}  // namespace meshattn
