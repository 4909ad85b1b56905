#include "experiments/simulator.h"

#include <spdlog/spdlog.h>

#include "core/base/error.h"
#ifdef MESHATTN_HAS_SIMULATOR
#include "sim/evaluate.h"
#include "sim/simulator.h"
#endif

namespace meshattn {

#ifdef MESHATTN_HAS_SIMULATOR

void require_simulator() {}

Result evaluate(const Request& request) {
  return sim::evaluate(request, [](const std::string& stage) { spdlog::info(stage); });
}

Trace simulate_schedule(const Schedule& schedule, const Network& network, const OpTimes& times) {
  return sim::simulate_in_child(schedule, network, times);
}

#else

void require_simulator() {
  throw InvalidInput(
      "this meshattn was built without the simulator (MESHATTN_SIM=OFF): plan, run, calibrate and topology work");
}

Result evaluate(const Request&) {
  require_simulator();
  return {};
}

Trace simulate_schedule(const Schedule&, const Network&, const OpTimes&) {
  require_simulator();
  return {};
}

#endif

}  // namespace meshattn
