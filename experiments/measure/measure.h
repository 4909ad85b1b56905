#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/report/summary.h"
#include "core/schedule/schedule.h"
#include "experiments/cli/request.h"
#include "gpu/deviation.h"
#include "gpu/run.h"

namespace meshattn {

/// Schedules to run on devices.
struct RunRequest {
  Request request;
  std::optional<Schedule> schedule;  ///< read from a file
  std::optional<Plan> plan;          ///< else
  Placement placement;
  gpu::RunOptions options;
  std::string device;  ///< description
  std::uint64_t seed = 1;
  bool check = true;
  std::string json, trace;  ///< paths of results; empty: none

  [[nodiscard]] const Problem& problem() const { return request.problem; }
};

/// One pass that was run on devices.
struct PassRun {
  Schedule schedule;
  OpTimes times;  ///< on the cluster that is asked for
  gpu::RunResult result;
  double estimate_s = 0;                         ///< makespan by the planner's estimate
  Summary summary;                               ///< of the measured trace
  std::vector<gpu::Deviation> deviations;        ///< from dense attention; empty: not checked
  std::vector<gpu::Deviation> dense_deviations;  ///< of the same kernels on one rank
};

/// All passes that were run.
struct Measurement {
  RunRequest request;
  std::vector<PassRun> passes;
  int processes = 1;
};

/// Whether a result is as near to dense attention as it should be: O to 3e-3 and gradients to 1e-2 where anything is
/// rounded to 16 bits, 1e-4 in fp32, and at most 1.1 times as far as the same kernels on one rank, or 1e-5. Partial
/// results that travel in 16 bits may be further off than on one rank. Where all should be zero, either limit is
/// enough.
[[nodiscard]] bool is_accurate(const gpu::Deviation& deviation, const PassRun& run);

/// Runs all passes in their order, each with the inputs that it needs, and reports them in process 0.
/// @returns the exit status: 1 if a result is wrong
/// @throws InvalidSchedule if the proof of a schedule finds something; else as gpu::run
int measure(RunRequest request, const gpu::Job& job, const std::function<void(Measurement)>& report);

}  // namespace meshattn
