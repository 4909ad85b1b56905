#pragma once

#include "core/schedule/schedule.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// Gives every value its place in its rank's arena (`offset`, 256-byte aligned) and writes the reuse waits that keep
/// users of the same bytes apart. A value is placed where the values there have had their last use earlier in the
/// rank's list, so waits point backwards in the list and add no deadlock. Sets `peak_bytes`.
void assign_memory(Schedule& schedule);

/// The same, but bytes are used again only where their users have ended, as planned, when the next starts: the reuse
/// waits delay nothing in the planned times. Takes more memory, how much more depends on the plan.
void assign_memory(Schedule& schedule, const Trace& planned);

}  // namespace meshattn
