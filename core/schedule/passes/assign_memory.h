#pragma once

#include "core/schedule/schedule.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// Gives every value an offset in the arena of its rank, aligned to 256 bytes, and writes the reuse waits that keep the
/// users of the same bytes apart. A value takes bytes whose earlier values have their last use earlier in the rank's
/// list, so waits point backwards in the list and add no deadlock. Sets `peak_bytes`.
void assign_memory(Schedule& schedule);

/// As above, but bytes are reused only if their earlier users have ended, at the planned times, when the new user
/// starts. The reuse waits then delay nothing in the planned times. Takes more memory than the variant above.
void assign_memory(Schedule& schedule, const Trace& planned);

}  // namespace meshattn
