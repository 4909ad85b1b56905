#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"
#include "gpu/job/job.h"

namespace meshattn::gpu {

/// How far one result is off, relative to what it should be, both by their 2-norms (that of numbers of 1e-6, if what it
/// should be is less); infinite if a number is missing.
struct Deviation {
  std::string tensor;  ///< "O", "lse", "dQ", "dK", "dV"
  double relative = 0;
  bool expects_zero = false;  ///< what it should be is less
};

/// The results of a pass. In a job of several processes each compares the rows of the ranks that it serves; the
/// deviations are those of all rows, in process 0, and empty elsewhere.
/// @throws DeviceError if other processes have not come by the deadline
[[nodiscard]] std::vector<Deviation> deviations(const Schedule& schedule, std::span<const Rank> served,
                                                const cpu::Tensors& is, const cpu::Tensors& should, const Job& job,
                                                Deadline deadline);

}  // namespace meshattn::gpu
