#include "core/cluster/uncertainty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cluster/cluster_file.h"

namespace meshattn {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

Cluster with_figures(std::map<std::string, Figure> figures) {
  Cluster cluster;
  cluster.figures = std::move(figures);
  return cluster;
}

TEST(Uncertainty, AnExactClusterHasNoEnds) {
  EXPECT_THAT(settings_of(UncertaintyEnd::kSlow, with_figures({{"nic.efficiency", {"0.9", "sheet", 0}}})), IsEmpty());
  EXPECT_THAT(uncertainty_ends(ClusterFiles("ideal-8x50", kTopologies)), IsEmpty());
}

/// Slow: less bandwidth, more start-up, more bytes to move. An efficiency stays at most 1, oversubscription at least 1,
/// any figure within a tenth and ten times of its value.
TEST(Uncertainty, AllFiguresAreSlowOrFastTogether) {
  const Cluster cluster = with_figures({{"fabric.oversubscription", {"2", "", 4}},
                                        {"framework.merge_bytes", {"38", "", 2}},
                                        {"gpu.memory_GB", {"8", "", 0}},
                                        {"link.bandwidth_GBps", {"100", "", 1000}},
                                        {"nic.efficiency", {"0.75", "", 0.5}},
                                        {"nic.startup_us", {"2", "", 3}}});
  EXPECT_THAT(settings_of(UncertaintyEnd::kSlow, cluster),
              ElementsAre("fabric.oversubscription=6", "framework.merge_bytes=40", "link.bandwidth_GBps=10",
                          "nic.efficiency=0.25", "nic.startup_us=5"));
  EXPECT_THAT(settings_of(UncertaintyEnd::kFast, cluster),
              ElementsAre("fabric.oversubscription=1", "framework.merge_bytes=36", "link.bandwidth_GBps=1000",
                          "nic.efficiency=1", "nic.startup_us=0.20000000000000001"));
}

TEST(Uncertainty, EveryClusterButTheIdealOneHasTwoEnds) {
  for (const std::string& name : cluster_names(kTopologies)) {
    const ClusterFiles files(name, kTopologies);
    const Cluster cluster = files.cluster();
    const std::vector<Cluster> ends = uncertainty_ends(files);
    if (name == "ideal-8x50") continue;
    ASSERT_EQ(ends.size(), 2u) << name;
    const Cluster &slow = ends.front(), &fast = ends.back();
    EXPECT_LT(slow.node.link_bytes_per_s, cluster.node.link_bytes_per_s) << name;
    EXPECT_GT(fast.node.link_bytes_per_s, cluster.node.link_bytes_per_s) << name;
    EXPECT_LT(slow.gpu.attention_scale, 1) << name;
    EXPECT_GT(fast.gpu.attention_scale, 1) << name;
    EXPECT_GT(slow.node.link_startup_s, fast.node.link_startup_s) << name;
  }
}

/// The ends differ from the cluster by their settings only, those of the run included.
TEST(Uncertainty, AnEndIsTheClusterWithItsSettings) {
  const std::vector<std::string> run{"nic.bandwidth_GBps=25", "gpu.launch_us=7"};
  const ClusterFiles files("dgx-h100", kTopologies, run);
  const std::vector<Cluster> ends = uncertainty_ends(files);
  std::vector<std::string> settings = run;
  for (const std::string& setting : settings_of(UncertaintyEnd::kSlow, files.cluster())) settings.push_back(setting);
  const Cluster slow = read_cluster("dgx-h100", kTopologies, settings);
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends.front().node.nic_bytes_per_s, slow.node.nic_bytes_per_s);
  EXPECT_EQ(ends.front().gpu.launch_s, 7e-6);
  ASSERT_EQ(ends.front().figures.size(), slow.figures.size());
  for (const auto& [key, figure] : slow.figures) EXPECT_EQ(ends.front().figures.at(key).value, figure.value) << key;
}

}  // namespace
}  // namespace meshattn
