#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <string>
#include <vector>

#include "core/report/summary.h"
#include "experiments/cli/options/run_options.h"
#include "gpu/deviation.h"

namespace meshattn {

/// What a pass came to on devices.
struct PassRun {
  Schedule schedule;
  gpu::RunResult result;
  double estimate_s = 0;  ///< makespan that was planned with
  Summary summary;        ///< of the measured trace
  std::vector<gpu::Deviation> deviations,
      dense_deviations;  ///< dense_deviations: of the same kernels on one rank; empty: not checked
};

/// Whether a result is as near to dense attention as it should be: O to 3e-3 and gradients to 1e-2 where anything is
/// rounded to 16 bits, 1e-4 in fp32, and no further than 1.1 times what the same kernels on one rank are off, or 1e-5.
/// Partial results that travel in 16 bits are off by more than those of one rank, as was asked for; and where all
/// should be nothing, either is enough.
[[nodiscard]] bool is_accurate(const gpu::Deviation& deviation, const PassRun& run);

/// What is done with the passes that were run, in process 0.
using Report =
    std::function<void(const RunRequest& asked, std::vector<PassRun> passes, const std::string& device, int processes)>;

/// Runs all passes that `run`'s options ask for, in their order, each with the inputs that it needs, and reports them.
/// @returns the exit status: 1 if a result is wrong
/// @throws InvalidSchedule if the proof of one finds something; else as read_run_request and gpu::run
int measure(const boost::program_options::variables_map& given, const Report& report);

}  // namespace meshattn
