#pragma once

#include "core/cluster/network.h"
#include "core/execution/engine.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// Estimates when the ops of a schedule run, without a simulator. `times` as a CostModel gives them. Everything but the
/// sharing of links is as in a simulation (`Engine`). Each transfer moves at the smallest, over its links, of the
/// link's bandwidth / the transfers on it. Bandwidth that one of them cannot use is not given to the others, as max-min
/// fairness would. Both agree where the transfers that share a link are alike.
///
/// `Receive::kAsListed` gives the times by which memory is planned.
/// @throws InvalidSchedule on a deadlock.
[[nodiscard]] Trace estimate(const Schedule& schedule, const Network& network, const OpTimes& times,
                             Receive receive = Receive::kEarly);

}  // namespace meshattn
