#pragma once

#include <limits>
#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// Whether a hop brings a row or column; the others take a partial away.
[[nodiscard]] inline bool is_incoming(Hop hop) { return hop == Hop::kRowIn || hop == Hop::kColumnIn; }

/// The times at which hops and blocks begin, in the units of the tile's costs.
struct StartTimes {
  std::vector<double> hops;
  std::vector<double> blocks;
};

/// Begins every hop and block as early as its lane's order allows.
/// @throws InvalidSchedule if they wait for each other.
[[nodiscard]] StartTimes earliest_starts(const TileProblem& problem, const LaneOrder& order);

/// The latest times at which arrivals may begin and end without delaying a block or a departure.
struct LatestTimes {
  std::vector<double> hops;     ///< begin of each hop; a departure is not put off
  std::vector<double> rows;     ///< by row: arrival
  std::vector<double> columns;  ///< by column: arrival
};

/// `times` as `earliest_starts` gives them.
[[nodiscard]] LatestTimes latest_times(const TileProblem& problem, const LaneOrder& order, const StartTimes& times);

}  // namespace meshattn
