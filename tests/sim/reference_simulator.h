#pragma once

#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// What `sim::simulate` should answer, worked out anew without SimGrid and without its passes: time goes from event to
/// event, every flow at its max-min rate. Slow and plain. @throws SimulationError on a deadlock.
[[nodiscard]] Trace simulate_reference(const Schedule& schedule, const Network& network, const CostModel& cost);

}  // namespace meshattn
