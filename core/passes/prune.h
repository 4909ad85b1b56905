#pragma once

#include "core/schedule.h"

namespace meshattn {

/// Removes blocks that the mask empties, partials that then nobody contributes to, transfers that nobody reads, and the
/// cells of chunks that nobody reads. Under the full mask nothing changes. Has no memory assigned afterwards.
[[nodiscard]] Schedule prune(Schedule schedule);

}  // namespace meshattn
