#pragma once

#include <functional>
#include <string>

#include "core/report/result.h"

namespace meshattn::sim {

/// Called after each stage with a line such as "forward planned: 1024 ops in 0.013 s".
using Progress = std::function<void(const std::string& stage)>;

/// Plans a request, and proves, simulates and summarises each of its phases. The plan is made for the cluster as it
/// stands; on its slow and fast end only makespans are estimated.
/// @throws InvalidInput if there is no plan, InvalidSchedule if the proof finds something, SimulationError
[[nodiscard]] Result evaluate(const Request& request, const Progress& progress = {});

/// The same of one pass, with rank r on GPU r, for an algorithm that the catalogue need not have.
[[nodiscard]] Result evaluate(const Configuration& pass, const Cluster& cluster, const Progress& progress = {});

}  // namespace meshattn::sim
