#pragma once

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"

namespace meshattn::cpu {

enum class Precision { kFp32, kFp64 };

/// One thread for all ranks, or one for each lane of each rank.
enum class Threading { kSingle, kPerLane };

/// Executes a schedule on real numbers: takes q, k, v (and d_o, o, lse for a backward pass) from `given`, and returns
/// the outputs that the owners end with (o and lse, or dq, dk, dv) in the layout of Tensors. Values live in arenas at
/// the schedule's offsets and its reuse waits are obeyed. Bitwise repeatable: both ways of running ranks agree.
/// @throws InvalidSchedule if it cannot go on (deadlock) or `offset` is missing.
[[nodiscard]] Tensors run(const Schedule& schedule, const Tensors& given, Precision precision = Precision::kFp64,
                          Threading threading = Threading::kSingle);

}  // namespace meshattn::cpu
