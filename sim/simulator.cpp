#include "sim/simulator.h"

#include <spdlog/fmt/fmt.h>

#include <string>

#include "core/base/error.h"
#include "core/execution/engine.h"
#include "sim/platform.h"

namespace meshattn::sim {

Trace simulate(const Schedule& schedule, const Network& network, const OpTimes& times) {
  if (schedule.problem.ranks > network.gpus())
    throw SimulationError(
        fmt::format("{} ranks on {} GPUs: every rank needs one", schedule.problem.ranks, network.gpus()));
  Platform platform(network);
  Engine engine(schedule, network, times, Receive::kEarly, platform);
  Trace trace = engine.run();
  if (const std::string problem = engine.deadlock(); !problem.empty()) throw SimulationError(problem);
  return trace;
}

}  // namespace meshattn::sim
