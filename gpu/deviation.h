#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"
#include "gpu/job/job.h"

namespace meshattn::gpu {

/// The deviation of one result: the 2-norm of the error over the 2-norm of the expected result, or over the 2-norm of a
/// result whose numbers are all 1e-6 if that is greater. Infinite if a number is missing.
struct Deviation {
  std::string tensor;  ///< "O", "lse", "dQ", "dK", "dV"
  double relative = 0;
  bool expects_zero = false;  ///< whether the expected result is below that bound
};

/// The deviations of the results of a pass. Each process of a job compares the rows of the ranks that it serves.
/// Process 0 gets the deviations over all rows, the others nothing.
/// @throws DeviceError if the deadline passes before all processes have compared
[[nodiscard]] std::vector<Deviation> deviations(const Schedule& schedule, std::span<const Rank> served,
                                                const cpu::Tensors& actual, const cpu::Tensors& expected,
                                                const Job& job, Deadline deadline);

}  // namespace meshattn::gpu
