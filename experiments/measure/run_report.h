#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "experiments/measure/measure.h"

namespace meshattn {

/// "deviation from dense attention: O 1.6e-03 (on one rank 1.6e-03), …"
[[nodiscard]] std::string deviations_text(const PassRun& run);

/// Prints times, waits, traffic, memory and deviations.
void print(std::ostream& out, const Measurement& measured);

/// The JSON of `simulate`, with what only a run has under "run".
void write_json(std::ostream& out, const Measurement& measured);

}  // namespace meshattn
