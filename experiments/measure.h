#pragma once

#include <vector>

#include "core/report/summary.h"
#include "experiments/run_request.h"
#include "gpu/deviation.h"

namespace meshattn {

/// What a pass came to on devices.
struct PassRun {
  Schedule schedule;
  gpu::RunResult result;
  double estimate_s = 0;                             ///< makespan that was planned with
  Summary summary;                                   ///< of the measured trace
  std::vector<gpu::Deviation> deviations, of_dense;  ///< of_dense: of the same kernels on one rank; empty: not checked
};

/// Runs all passes that are asked for, in their order, each with the inputs that it needs.
/// @throws InvalidSchedule if the proof of one finds something; else as gpu::run
[[nodiscard]] std::vector<PassRun> run_passes(RunRequest& asked, const gpu::Job& job);

}  // namespace meshattn
