#include "core/base/error.h"
#include "experiments/evaluate.h"

namespace meshattn {

void require_simulator() {
  throw InvalidInput(
      "this meshattn was built without the simulator (MESHATTN_SIM=OFF): plan, run, calibrate and topology work");
}

Trace simulated(const Schedule&, const Network&, const CostModel&) {
  require_simulator();
  return {};
}

Evaluation evaluate(const PlanRequest&, const Network&, const GpuProfile&, std::span<const Cluster>) {
  require_simulator();
  return {};
}

}  // namespace meshattn
