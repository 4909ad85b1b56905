#pragma once

#include <string>

#include "experiments/measure/calibration/calibration.h"

namespace meshattn {

/// What `calibrate` prints: rates of attention, combining, launches, and of links if there are several ranks.
[[nodiscard]] std::string report_text(const CalibrationRequest& request, const Calibration& measured);

}  // namespace meshattn
