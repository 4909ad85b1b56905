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

TEST(Spread, WhatIsKnownExactlyHasNoCorners) {
  EXPECT_THAT(corners_of(with_figures({{"nic.efficiency", {"0.9", "sheet", 0}}})), IsEmpty());
  EXPECT_THAT(corners_of(read_cluster("ideal-8x50", kTopologies)), IsEmpty());
}

/// Slow first: less bandwidth, more start-up, more bytes to move; an efficiency stays at most 1, oversubscription at
/// least 1, anything within a tenth and ten times of the figure.
TEST(Spread, AllFiguresAreSlowOrFastTogether) {
  const auto corners = corners_of(with_figures({{"fabric.oversubscription", {"2", "", 4}},
                                                {"framework.merge_bytes", {"38", "", 2}},
                                                {"gpu.memory_GB", {"8", "", 0}},
                                                {"link.bandwidth_GBps", {"100", "", 1000}},
                                                {"nic.efficiency", {"0.75", "", 0.5}},
                                                {"nic.startup_us", {"2", "", 3}}}));
  EXPECT_THAT(corners, ElementsAre(ElementsAre("fabric.oversubscription=6", "framework.merge_bytes=40",
                                               "link.bandwidth_GBps=10", "nic.efficiency=0.25", "nic.startup_us=5"),
                                   ElementsAre("fabric.oversubscription=1", "framework.merge_bytes=36",
                                               "link.bandwidth_GBps=1000", "nic.efficiency=1",
                                               "nic.startup_us=0.20000000000000001")));
}

/// Every cluster but the ideal one is uncertain, and every corner of it is one that can be read.
TEST(Spread, EveryCornerIsACluster) {
  for (const std::string& name : cluster_names(kTopologies)) {
    const Cluster cluster = read_cluster(name, kTopologies);
    const auto corners = corners_of(cluster);
    if (name == "ideal-8x50") continue;
    ASSERT_EQ(corners.size(), 2u) << name;
    const Cluster slow = read_cluster(name, kTopologies, corners.front());
    const Cluster fast = read_cluster(name, kTopologies, corners.back());
    EXPECT_LT(slow.node.link_bytes_per_s, cluster.node.link_bytes_per_s) << name;
    EXPECT_GT(fast.node.link_bytes_per_s, cluster.node.link_bytes_per_s) << name;
    EXPECT_LT(slow.gpu.attention_scale, 1) << name;
    EXPECT_GT(fast.gpu.attention_scale, 1) << name;
    EXPECT_GT(slow.node.link_startup_s, fast.node.link_startup_s) << name;
  }
}

}  // namespace
}  // namespace meshattn
