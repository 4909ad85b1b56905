#pragma once

#include "core/cluster/network.h"
#include "core/execution/engine.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// When the ops of a schedule run, without a simulation. Seconds; `times` as a CostModel gives them. It is
/// executed as everywhere (`Engine`), but links are shared in a simpler way: a transfer moves at the least, over its
/// links, of the link's bandwidth / the transfers on it. What one of them cannot use because it is slowed down
/// elsewhere is not given to the others, as it would be by max-min fairness. The two are the same where transfers that
/// share a link are alike.
///
/// `Receive::kAsListed` gives the times that memory is planned by.
/// @throws InvalidSchedule if ops wait for each other for ever.
[[nodiscard]] Trace estimate(const Schedule& schedule, const Network& network, const OpTimes& times,
                             Receive receive = Receive::kEarly);

}  // namespace meshattn
