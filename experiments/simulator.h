#pragma once

#include "core/execution/op_times.h"
#include "core/report/result.h"

/// The simulator, which a build may leave out (MESHATTN_SIM=OFF). All of these then throw InvalidInput that says so.
namespace meshattn {

void require_simulator();

/// sim::evaluate; its progress is logged.
[[nodiscard]] Result evaluate(const Request& request);

/// sim::simulate_in_child.
[[nodiscard]] Trace simulate_schedule(const Schedule& schedule, const Network& network, const OpTimes& times);

}  // namespace meshattn
