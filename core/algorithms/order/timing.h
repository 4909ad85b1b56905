#pragma once

#include <limits>
#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

constexpr double kNever = std::numeric_limits<double>::infinity();

[[nodiscard]] inline bool is_incoming(Hop hop) { return hop == Hop::kRowIn || hop == Hop::kColumnIn; }

/// When hops and blocks begin if each does as soon as it can.
struct StartTimes {
  std::vector<double> hops;
  std::vector<double> blocks;
};

/// Runs both lanes together.
/// @throws InvalidSchedule if they wait for each other.
[[nodiscard]] StartTimes earliest_starts(const TileProblem& problem, const LaneOrder& order);

/// When hops begin and what they bring arrives, if all are as late as no block and no departure has to wait.
struct LatestTimes {
  std::vector<double> hops;
  std::vector<double> rows;     ///< arrival
  std::vector<double> columns;  ///< arrival
};

[[nodiscard]] LatestTimes latest_times(const TileProblem& problem, const LaneOrder& order, const StartTimes& times);

}  // namespace meshattn
