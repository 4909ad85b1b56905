#pragma once

#include "core/schedule/schedule.h"

namespace meshattn {

/// Removes the blocks that the mask empties, partials without contributions, transfers that no op reads, and cells that
/// no op reads. Heads are not examined: if partials of several head ranges are combined into one value, the mask must
/// leave the same cells of each. Under the full mask the schedule is returned unchanged; otherwise the result has no
/// memory assigned.
[[nodiscard]] Schedule prune(Schedule schedule);

}  // namespace meshattn
