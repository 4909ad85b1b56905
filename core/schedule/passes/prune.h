#pragma once

#include "core/schedule/schedule.h"

namespace meshattn {

/// Removes blocks that the mask empties, partials that then nobody contributes to, transfers that nobody reads, and the
/// cells of chunks that nobody reads. Heads are not looked at: of sums of several ranges of heads that are merged into
/// one, the mask must leave the same cells. Under the full mask nothing changes. Has no memory assigned afterwards.
[[nodiscard]] Schedule prune(Schedule schedule);

}  // namespace meshattn
