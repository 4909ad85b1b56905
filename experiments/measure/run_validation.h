#pragma once

#include "experiments/measure/measure.h"

namespace meshattn {

/// Simulates schedules that were run, and prints and writes where the two differ.
void report_validation(Measurement measured);

}  // namespace meshattn
