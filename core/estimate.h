#pragma once

#include "core/cost.h"
#include "core/passes/order.h"
#include "core/trace.h"

namespace meshattn {

/// When the ops of a mesh schedule run if all ranks are in step, every hop has its price and nothing else is on the
/// links: the planned times. A hop that brings queries or keys starts when the compute ops listed before it have ended,
/// which is where `plan_tile` put it. Seconds.
[[nodiscard]] Trace estimate(const Schedule& schedule, const TileCosts& hops, const CostModel& cost);

}  // namespace meshattn
