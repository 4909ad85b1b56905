#pragma once

#include <string>
#include <variant>

#include "core/cluster/network.h"
#include "core/execution/op_times.h"
#include "core/schedule/trace.h"

namespace meshattn::sim {

/// Predicts when each op runs: each rank on its GPU of the network. SimGrid is process-global: once per process.
/// @throws SimulationError, e.g. on a deadlock.
[[nodiscard]] Trace simulate(const Schedule& schedule, const Network& network, const OpTimes& times);

/// Why a simulation in a child process gave no trace.
struct Failure {
  std::string reason;
};

/// `simulate` in a child process: any number of times, and a child that dies is a Failure.
[[nodiscard]] std::variant<Trace, Failure> simulate_isolated(const Schedule& schedule, const Network& network,
                                                             const OpTimes& times);

/// The trace of `simulate_isolated`. @throws SimulationError with the reason of a Failure
[[nodiscard]] Trace simulate_in_child(const Schedule& schedule, const Network& network, const OpTimes& times);

}  // namespace meshattn::sim
