#include "experiments/corners.h"

#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/execution/estimate.h"

namespace meshattn {

std::vector<double> corners_s(const Schedule& s, const Placement& placement, std::span<const Cluster> corners,
                              double simulated_s, double estimate_s) {
  std::vector<double> all;
  for (const Cluster& corner : corners) {
    const CostModel cost(corner.gpu, s.problem);
    all.push_back(simulated_s * estimate(s, Network(corner, placement), cost.times(s)).makespan_s / estimate_s);
  }
  return all;
}

}  // namespace meshattn
