#pragma once

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"

namespace meshattn::cpu {

/// Type of the numbers that a run computes with.
enum class Precision { kFp32, kFp64 };

/// One thread for all ranks, or one for each lane of each rank.
enum class Threading { kSingle, kPerLane };

/// Executes a schedule on real numbers. It takes q, k, v (and d_o, o, lse for a backward pass) from `given` and returns
/// the owners' outputs (o and lse, or dq, dk, dv). Values live in arenas at the schedule's offsets, and its reuse waits
/// are obeyed. Bitwise repeatable, with any threading.
/// @throws InvalidSchedule on a deadlock, or if values have no valid offset.
/// @throws InvalidInput if a tensor that the schedule needs has the wrong size.
[[nodiscard]] Tensors run(const Schedule& schedule, const Tensors& given, Precision precision = Precision::kFp64,
                          Threading threading = Threading::kSingle);

}  // namespace meshattn::cpu
