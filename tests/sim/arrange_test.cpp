#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "core/algorithms/catalogue.h"
#include "core/planner/placement_search.h"
#include "tests/support/simulated.h"

namespace meshattn {
namespace {

using testing::cluster_of;
using testing::request_of;

double simulated_s(const Arrangement& arranged, const Cluster& cluster) {
  const PlanRequest& chosen = arranged.passes.front();
  const Network network(cluster, arranged.placement);
  const CostModel cost(cluster.gpu, chosen.problem);
  return testing::simulated_s(make_plan(chosen, network, cost).schedule, network, cost);
}

/// NICs from slow to fast, one for each GPU or one for four, so that slices gain much, little, and nothing.
TEST(Arrange, SlicesAreNeverSlowerThanNone) {
  int sliced = 0, whole = 0;
  double best = 1;
  for (const char* gigabytes : {"3", "16", "50"})
    for (const char* gpus : {"1", "4"}) {
      const Cluster cluster = cluster_of(
          "dgx-h100", {std::string("nic.bandwidth_GBps=") + gigabytes, std::string("node.gpus_per_nic=") + gpus});
      for (Pass pass : {Pass::kForward, Pass::kBackward})
        for (Tile tile : tiles_of(32)) {
          PlanRequest request = request_of(32, tile, pass, Mask::kCausal);
          const std::vector<Passes> plain{{request}};
          request.method.choose_slices = true;
          const std::vector<Passes> open{{request}};
          const Arrangement without = arrange(SearchRule{}, plain, cluster),
                            with = arrange(SearchRule{}, open, cluster);
          ASSERT_FALSE(with.passes.front().method.choose_slices);
          (with.passes.front().method.form.slices > 1 ? sliced : whole)++;
          const double gain = simulated_s(without, cluster) / simulated_s(with, cluster);
          EXPECT_GT(gain, 0.99) << fmt::format("{} {} on NICs of {} GB/s to {} GPUs", name_of(pass),
                                               text_of(with.passes.front().method.form), gigabytes, gpus);
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
