#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/cluster/network.h"
#include "tests/support/routes.h"

namespace meshattn::testing {
namespace {

using ::testing::ElementsAre;

TEST(Fabric, FatTreeCrossesTrunksBetweenLeavesOnly) {
  const Network network(cluster({Fabric::Kind::kFatTree, 2, 4}), 16);
  EXPECT_THAT(names(network, 0, 7), ElementsAre("node 0 nic 0 out", "node 1 nic 3 in"));
  EXPECT_THAT(names(network, 5, 8), ElementsAre("node 1 nic 1 out", "leaf 0 up", "leaf 1 down", "node 2 nic 0 in"));
  // 2 nodes × 4 NICs × 50 GB/s / 4
  EXPECT_EQ(network.links()[network.route(5, 8).links[1]].bytes_per_s, 100e9);
}

TEST(Fabric, RailsCrossTheSpineBetweenRailsAndGroups) {
  const Network network(cluster({Fabric::Kind::kRail, 2, 4}), 16);
  EXPECT_THAT(names(network, 1, 5), ElementsAre("node 0 nic 1 out", "node 1 nic 1 in"));
  EXPECT_THAT(names(network, 1, 6),
              ElementsAre("node 0 nic 1 out", "rail 1 of group 0 up", "rail 2 of group 0 down", "node 1 nic 2 in"));
  EXPECT_THAT(names(network, 1, 9),
              ElementsAre("node 0 nic 1 out", "rail 1 of group 0 up", "rail 1 of group 1 down", "node 2 nic 1 in"));
  // 2 nodes × 50 GB/s / 4
  EXPECT_EQ(network.links()[network.route(1, 6).links[1]].bytes_per_s, 25e9);
}

/// In every fabric a route has no link twice, a route and its return share none, every link is used and its name is
/// unique.
TEST(Fabric, DirectionsAreApart) {
  for (auto kind : {Fabric::Kind::kNonBlocking, Fabric::Kind::kFatTree, Fabric::Kind::kRail})
    for (int gpus_per_switch : {0, 1, 2, 4})
      for (int gpus_per_nic : {1, 2, 4}) {
        Cluster c = cluster({kind, 2, 2});
        c.node.gpus_per_switch = gpus_per_switch;
        c.node.switch_bytes_per_s = 1e9;
        c.node.gpus_per_nic = gpus_per_nic;
        const Network network(c, 20);  // the last leaf is half filled
        std::set<std::string> all;
        for (const Link& link : network.links()) EXPECT_TRUE(all.insert(link.name).second) << link.name;
        std::set<LinkId> used;
        for (int from = 0; from < network.gpus(); ++from)
          for (int to = 0; to < network.gpus(); ++to) {
            if (from == to) continue;
            const Route there = network.route(from, to), back = network.route(to, from);
            std::set<LinkId> both;
            for (const Route& route : {there, back})
              for (LinkId link : route.span()) both.insert(link);
            EXPECT_EQ(static_cast<int>(both.size()), there.count + back.count) << from << " " << to;
            used.insert(both.begin(), both.end());
          }
        EXPECT_EQ(used.size(), network.links().size());
      }
}

/// Leaves of one node with two NICs, and 8 spines: a message goes up to and down from one spine, chosen by its NICs.
/// All paths of a leaf together have the bandwidth of its trunk.
TEST(Fabric, MessagesTakeOnePathEach) {
  Cluster c = cluster({Fabric::Kind::kFatTree, 1, 1});
  c.node.gpus_per_nic = 2;
  const Network spread(c, 16);
  c.fabric.paths = 8;
  const Network network(c, 16);
  double up_bytes_per_s = 0;
  for (const Link& link : network.links())
    if (link.name.starts_with("leaf 0 up")) up_bytes_per_s += link.bytes_per_s;
  EXPECT_DOUBLE_EQ(up_bytes_per_s, spread.links()[spread.route(0, 4).links[1]].bytes_per_s);
  for (Rank from = 0; from < 16; ++from)
    for (Rank to = 0; to < 16; ++to) {
      if (from / 4 == to / 4) continue;
      const std::vector<std::string> way = names(network, from, to);
      ASSERT_EQ(way.size(), 4u);
      EXPECT_EQ(way[1], fmt::format("leaf {} up to spine {}", from / 4, way[1].back()));
      EXPECT_EQ(way[2], fmt::format("leaf {} down from spine {}", to / 4, way[1].back()));
      EXPECT_EQ(names(network, from / 2 * 2, to / 2 * 2), way);
    }
}

/// 64 nodes with one NIC and one leaf each: 4,032 pairs over 32 spines are 126 ± 11 each (binomial, √(n p)).
TEST(Fabric, PathsAreTakenEvenly) {
  Cluster c = cluster({Fabric::Kind::kFatTree, 1, 1, 32});
  c.node.gpus = 1;
  const Network network(c, 64);
  std::map<std::string, int> pairs;
  for (Rank from = 0; from < 64; ++from)
    for (Rank to = 0; to < 64; ++to)
      if (from != to) {
        const std::string up = names(network, from, to)[1];
        ++pairs[up.substr(up.find("spine"))];
      }
  ASSERT_EQ(pairs.size(), 32u);
  for (const auto& [spine, number] : pairs) EXPECT_NEAR(number, 126, 5 * 11) << spine;
}

}  // namespace
}  // namespace meshattn::testing
