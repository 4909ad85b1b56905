#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/planner/plan.h"
#include "core/report/volume.h"
#include "core/schedule/passes/verify.h"

namespace meshattn {

/// Makespans of one tile's orders in the one-lane, constant-cost model, without a memory limit. Seconds.
struct OneLaneTimes {
  double naive = 0;
  double greedy = 0;
  double optimal = 0;
  double lower_bound = 0;  ///< with preemptible compute
};

/// Facts of a schedule that has not run yet.
struct PlanFacts {
  std::string placed;                                ///< name of the placement
  std::uint64_t exchanges_max = 0, attends_max = 0;  ///< of a rank
  std::uint64_t ops = 0, transfers = 0, values = 0;  ///< over all ranks
  Volume volume;
  std::uint64_t peak_bytes = 0;
  TileBytes bytes;
  std::optional<OneLaneTimes> one_lane;  ///< of steps that are planned
  std::vector<Finding> findings;
};

/// Proves the phase's schedule, and orders its tile in every way.
[[nodiscard]] PlanFacts facts_of(const Phase& phase, const Network& network, const CostModel& cost);

}  // namespace meshattn
