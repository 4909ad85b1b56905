#include "core/execution/estimate.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstdio>

#include "core/algorithms/catalogue.h"
#include "core/planner/grid_placement.h"
#include "core/planner/plan.h"
#include "tests/support/simulated.h"

namespace meshattn {
namespace {

using testing::cluster_of;
using testing::request_of;

/// Estimated over simulated makespan.
double ratio(const Configuration& request, const Network& network, const GpuProfile& gpu) {
  const CostModel cost(gpu, request.problem);
  const Phase plan = plan_phase(request, network, cost);
  return estimate(plan.schedule, network, plan.times).makespan_s / testing::simulated_s(plan.schedule, network, cost);
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

/// The largest deviation of an estimate from the simulation, and its request.
struct Worst {
  double off = 0;
  std::string whose;

  void add(const Configuration& request, const Network& network, const GpuProfile& gpu) {
    const double found = ratio(request, network, gpu) - 1;
    if (std::abs(found) <= std::abs(off)) return;
    off = found;
    whose = fmt::format("{} {} {}", name_of(request.problem.pass), form_text(request.form), network.placement().name);
  }
  void tell() const {
    ::testing::Test::RecordProperty("worst", std::to_string(off));
    std::printf("the estimate is off by %+.3f %% at worst (%s)\n", off * 100, whose.c_str());
  }
};

/// No law, for equal shares are not max-min fair: the worst deviation was 0.00 % when this was written. Under a causal
/// mask ranks differ.
TEST(EstimateAndSimulation, AgreeOnPlacementsOfAMaskThatMakesRanksDiffer) {
  const Cluster cluster = cluster_of("dgx-h100");
  Worst worst;
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Tile tile : tiles_of(64)) {
      std::vector<Placement> placements{linear_placement(64)};
      for (Grid grid : grids_of(tile, 1, 8)) placements.push_back(grid_placement(grid, tile, 1, 8));
      for (const Placement& placement : placements)
        worst.add(request_of(64, tile, pass, Mask::kCausal), Network(cluster, placement), cluster.gpu);
    }
  EXPECT_LT(std::abs(worst.off), 0.01) << worst.whose;
  worst.tell();
}

/// No law either: the worst deviation was +1.7 % when this was written. Slices have lanes of their own, which share
/// NICs of 16 GB/s with those of three other GPUs, not all in step.
TEST(EstimateAndSimulation, AgreeOnSlicesThatShareNics) {
  const Cluster cluster = cluster_of("dgx-h100", {"nic.bandwidth_GBps=16", "node.gpus_per_nic=4"});
  Worst worst;
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Tile tile : tiles_of(32))
      for (int slices : {2, 4, 8}) {
        Configuration request = request_of(32, tile, pass, Mask::kCausal);
        request.form.slices = slices;
        std::vector<Placement> placements{linear_placement(32)};
        for (Grid grid : grids_of(tile, 1, 8)) placements.push_back(grid_placement(grid, tile, 1, 8));
        for (const Placement& placement : placements) worst.add(request, Network(cluster, placement), cluster.gpu);
      }
  EXPECT_LT(std::abs(worst.off), 0.025) << worst.whose;
  worst.tell();
}

}  // namespace
}  // namespace meshattn
