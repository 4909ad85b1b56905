#include "core/planner/end_makespans.h"

#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/execution/estimate.h"

namespace meshattn {

std::vector<double> end_makespans_s(const Schedule& s, const Placement& placement, std::span<const Cluster> ends,
                                    double simulated_s, double estimate_s) {
  std::vector<double> all;
  for (const Cluster& end : ends) {
    const OpTimes times = CostModel(end.gpu, s.problem).times(s);
    all.push_back(simulated_s * estimate(s, Network(end, placement), times).makespan_s / estimate_s);
  }
  return all;
}

}  // namespace meshattn
