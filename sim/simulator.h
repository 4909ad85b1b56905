#pragma once

#include <string>
#include <variant>

#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/schedule/trace.h"

namespace meshattn::sim {

/// Predicts when each op runs: each rank on its GPU of the network. SimGrid is process-global: once per process.
/// @throws SimulationError, e.g. on a deadlock.
[[nodiscard]] Trace simulate(const Schedule& schedule, const Network& network, const CostModel& cost);

/// Why a simulation in a child process gave no trace.
struct Failure {
  std::string reason;
};

/// `simulate` in a child process: any number of times, and a child that dies is a Failure.
[[nodiscard]] std::variant<Trace, Failure> simulate_isolated(const Schedule& schedule, const Network& network,
                                                             const CostModel& cost);

}  // namespace meshattn::sim
