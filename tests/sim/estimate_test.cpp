#include "core/estimate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "core/algorithms.h"
#include "core/cluster_file.h"
#include "core/error.h"
#include "core/plan.h"
#include "sim/simulator.h"

namespace meshattn {
namespace {

Cluster cluster_of(const std::string& name) { return read_cluster(name, MESHATTN_SOURCE_DIR "/topologies"); }

/// Estimate over simulated time.
double ratio(const PlanRequest& request, const Network& network, const GpuProfile& gpu) {
  const CostModel cost(gpu, request.problem);
  const Plan plan = make_plan(request, network, cost);
  const auto result = sim::simulate_isolated(plan.schedule, network, cost);
  if (const auto* failure = std::get_if<sim::Failure>(&result)) throw SimulationError(failure->reason);
  return estimate(plan.schedule, network, cost).makespan_s / std::get<Trace>(result).makespan_s;
}

/// Chunks of 4,096 tokens, 32 heads of 128.
PlanRequest request_of(int ranks, Tile tile, Pass pass, Mask mask) {
  PlanRequest r;
  r.problem = {{ranks * 4096L, ranks * 4096L, 1, 32, 32, 128, Dtype::kBf16},
               mask,
               mask == Mask::kCausal ? Partition::kZigzag : Partition::kContiguous,
               pass,
               ranks};
  r.method.form.tile = tile;
  return r;
}

/// Full mask: ranks are alike but for the links of their nodes, and the slowest hop sets the pace of its ring.
TEST(EstimateAndSimulation, AgreeOnEveryTileOfTheFullMask) {
  const Cluster cluster = cluster_of("ideal-8x50");
  const Network network(cluster, 16);
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Tile tile : tiles_of(16))
      EXPECT_NEAR(ratio(request_of(16, tile, pass, Mask::kFull), network, cluster.gpu), 1, 0.01)
          << name_of(pass) << ' ' << tile.rows << 'x' << tile.columns;
}

/// Not a law: +3.8 % at worst when this was written. Causal: pruning leaves ranks different exchanges, so that what the
/// estimate takes for a wave is not always one.
TEST(EstimateAndSimulation, AreNearOnAMaskThatMakesRanksDiffer) {
  const Cluster cluster = cluster_of("dgx-h100");
  double worst = 0;
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Tile tile : tiles_of(64)) {
      std::vector<Placement> placements{linear(64)};
      for (Grid grid : grids_of(tile, 1, 8)) placements.push_back(placed(grid, tile, 1, 8));
      for (const Placement& placement : placements) {
        const double off = ratio(request_of(64, tile, pass, Mask::kCausal), Network(cluster, placement), cluster.gpu);
        EXPECT_NEAR(off, 1, 0.1) << name_of(pass) << ' ' << tile.rows << 'x' << tile.columns << ' ' << placement.name;
        if (std::abs(off - 1) > std::abs(worst)) worst = off - 1;
      }
    }
  RecordProperty("worst", std::to_string(worst));
  std::printf("the estimate is off by %+.1f %% at worst\n", worst * 100);
}

}  // namespace
}  // namespace meshattn
