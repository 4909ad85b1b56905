#pragma once

#include <iosfwd>
#include <string>
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

/// Whether all results are as near to dense attention as they should be: 16-bit O to 3e-3 and gradients to 1e-2, fp32
/// to 1e-4, or else to 1.1 times what the same kernels on one rank are off.
[[nodiscard]] bool is_right(const PassRun& run);

/// In words.
void print(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes, const std::string& device,
           int processes);

/// What `simulate` writes, and what only a run has under "run".
void write_json(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes,
                const std::string& device, int processes);

}  // namespace meshattn
