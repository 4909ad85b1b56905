#pragma once

#include <functional>
#include <span>
#include <string>

#include "core/schedule/schedule.h"

namespace meshattn::gpu {

/// The first unfinished op of each rank, in the schedule's order, for messages about ranks that are stuck:
/// "rank 0 at op 3: exchange on lane 1 (KV to 1, KV from 3); rank 1 at …", or "nothing" if all ops have ended.
[[nodiscard]] std::string unfinished_ops_text(const Schedule& schedule, std::span<const Rank> ranks,
                                              const std::function<bool(OpId)>& has_ended);

}  // namespace meshattn::gpu
