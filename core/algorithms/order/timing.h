#pragma once

#include <limits>
#include <vector>

#include "core/algorithms/order/lanes.h"

namespace meshattn {

constexpr double kNever = std::numeric_limits<double>::infinity();

[[nodiscard]] inline bool is_in(Hop hop) { return hop == Hop::kRowIn || hop == Hop::kColumnIn; }

/// When hops and blocks begin if each does as soon as it can.
struct Times {
  std::vector<double> hops;
  std::vector<double> blocks;
};

/// Runs both lanes together.
/// @throws InvalidSchedule if they wait for each other.
[[nodiscard]] Times times_of(const TileProblem& problem, const Lanes& lanes);

/// When hops begin and what they bring arrives, if all are as late as no block and no departure has to wait.
struct Late {
  std::vector<double> hops;
  std::vector<double> rows;     ///< arrival
  std::vector<double> columns;  ///< arrival
};

[[nodiscard]] Late late_of(const TileProblem& problem, const Lanes& lanes, const Times& times);

}  // namespace meshattn
