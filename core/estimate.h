#pragma once

#include "core/cost.h"
#include "core/network.h"
#include "core/trace.h"

namespace meshattn {

/// When the ops of a schedule run, without a simulation: the planned times. Seconds. Lanes run in order, an op waits
/// for what it depends on, a transfer starts when both its exchanges have started, an exchange ends with its last
/// transfer.
///
/// Assumes that ranks run in step: what shares a link with a transfer is its *wave*, all transfers that their senders
/// issue in the k-th exchange of any lane, k being the same. It takes start-up + the longest, over its links, of the
/// wave's bytes on the link / bandwidth, whatever else happens. So ranks that are alike are estimated exactly; where a
/// mask leaves some ranks fewer exchanges than others, or lanes drift apart, it is an approximation.
///
/// An exchange without partial results starts when the compute ops listed before it on its rank have ended: that is
/// where a plan puts it so that what it brings takes their place in memory, though an executor may start it earlier.
/// @throws InvalidSchedule if ops wait for each other for ever.
[[nodiscard]] Trace estimate(const Schedule& schedule, const Network& network, const CostModel& cost);

}  // namespace meshattn
