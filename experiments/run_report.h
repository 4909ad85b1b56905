#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "experiments/measure.h"

namespace meshattn {

/// Whether all results are as near to dense attention as they should be: O to 3e-3 and gradients to 1e-2 where anything
/// is rounded to 16 bits, 1e-4 in fp32, or else to 1.1 times what the same kernels on one rank are off.
[[nodiscard]] bool is_right(const PassRun& run);

/// "deviation from dense attention: O 1.6e-03 (on one rank 1.6e-03), …"
[[nodiscard]] std::string deviations_text(const PassRun& run);

/// In words.
void print(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes, const std::string& device,
           int processes);

/// What `simulate` writes, and what only a run has under "run".
void write_json(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes,
                const std::string& device, int processes);

}  // namespace meshattn
