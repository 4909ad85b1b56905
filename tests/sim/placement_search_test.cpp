#include "core/planner/placement_search.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "tests/support/simulated.h"

namespace meshattn {
namespace {

using testing::cluster_of;
using testing::request_of;

double simulated_s(const Plan& plan, const Cluster& cluster) {
  const Phase& phase = plan.phases.front();
  return sim::simulate_in_child(phase.schedule, Network(cluster, plan.placement), phase.times).makespan_s;
}

/// NICs from slow to fast, one for each GPU or one for four, so that slices gain much, little, and nothing.
TEST(PlacementSearch, SlicesAreNeverSlowerThanNone) {
  int sliced = 0, whole = 0;
  double best = 1;
  for (const char* gigabytes : {"3", "16", "50"})
    for (const char* gpus : {"1", "4"}) {
      const Cluster cluster = cluster_of(
          "dgx-h100", {std::string("nic.bandwidth_GBps=") + gigabytes, std::string("node.gpus_per_nic=") + gpus});
      for (Pass pass : {Pass::kForward, Pass::kBackward})
        for (Tile tile : tiles_of(32)) {
          Request request{.problem = request_of(32, tile, pass, Mask::kCausal).problem, .passes = {pass}};
          request.algorithm = "mesh";
          request.options.tile = tile;
          request.placement = SearchRule{};
          request.cluster = cluster;
          const Plan without = make_plan(request);
          request.options.slices = 0;
          const Plan with = make_plan(request);
          const MeshForm& form = with.phases.front().configuration.form;
          ASSERT_FALSE(with.phases.front().configuration.choose_slices);
          (form.slices > 1 ? sliced : whole)++;
          const double gain = simulated_s(without, cluster) / simulated_s(with, cluster);
          EXPECT_GT(gain, 0.99) << fmt::format("{} {} on NICs of {} GB/s to {} GPUs", name_of(pass), form_text(form),
                                               gigabytes, gpus);
          best = std::max(best, gain);
        }
    }
  EXPECT_GT(sliced, 0);
  EXPECT_GT(whole, 0);
  EXPECT_GT(best, 1.3);
  std::printf("%d sliced, %d left whole; %.2f times as fast at best\n", sliced, whole, best);
}

}  // namespace
}  // namespace meshattn
