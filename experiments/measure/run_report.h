#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "experiments/measure/measure.h"

namespace meshattn {

/// "deviation from dense attention: O 1.6e-03 (on one rank 1.6e-03), …"
[[nodiscard]] std::string deviations_text(const PassRun& run);

/// In words.
void print(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes, const std::string& device,
           int processes);

/// What `simulate` writes, and what only a run has under "run".
void write_json(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes,
                const std::string& device, int processes);

}  // namespace meshattn
