#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/measure/measurement_table.h"

namespace meshattn {

/// A predicted time, and its range by the uncertainty of the cluster's figures.
struct Prediction {
  double seconds = 0;
  double least_s = 0;
  double most_s = 0;
};

/// Each row with its prediction, then the errors by block and of all rows.
[[nodiscard]] std::string text_of(const std::vector<MeasurementRow>& rows, const std::vector<Prediction>& predicted);
[[nodiscard]] nlohmann::ordered_json json_of(const std::vector<MeasurementRow>& rows,
                                             const std::vector<Prediction>& predicted);

}  // namespace meshattn
