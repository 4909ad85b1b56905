#include "core/cluster/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "tests/support/routes.h"

namespace meshattn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Seconds of a message alone on its route: start-up + bytes / slowest link.
double alone_s(const Network& network, Rank from, Rank to, double bytes) {
  const Route way = network.route(from, to);
  double slowest = network.links()[way.links[0]].bytes_per_s;
  for (LinkId link : way.span()) slowest = std::min(slowest, network.links()[link].bytes_per_s);
  return network.startup_s(way, bytes) + bytes / slowest;
}

std::string refusal(const Cluster& c, int gpus) {
  try {
    Network network(c, gpus);
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Network, PortsInsideANodeNicsBetweenNodes) {
  const Network network(cluster(), 8);
  EXPECT_THAT(names(network, 1, 2), ElementsAre("gpu 1 out", "gpu 2 in"));
  EXPECT_THAT(names(network, 3, 4), ElementsAre("node 0 nic 3 out", "node 1 nic 0 in"));
  EXPECT_FALSE(network.route(1, 2).inter_node);
  EXPECT_TRUE(network.route(3, 4).inter_node);
  EXPECT_EQ(network.startup_s(network.route(1, 2), 1e6), 1e-6);
  EXPECT_EQ(network.startup_s(network.route(3, 4), 1e6), 3e-6);
  // 10 MB: 1 µs + 10e6 / 400e9 = 26 µs; 3 µs + 10e6 / 50e9 = 203 µs.
  EXPECT_DOUBLE_EQ(alone_s(network, 1, 2, 10e6), 26e-6);
  EXPECT_DOUBLE_EQ(alone_s(network, 3, 4, 10e6), 203e-6);
}

TEST(Network, SwitchesOfANodeAreCrossedOnlyBetweenThem) {
  Cluster c = cluster();
  c.node.gpus_per_switch = 2;
  c.node.switch_bytes_per_s = 25e9;
  const Network network(c, 8);
  EXPECT_THAT(names(network, 4, 5), ElementsAre("gpu 4 out", "gpu 5 in"));
  EXPECT_THAT(names(network, 5, 6), ElementsAre("gpu 5 out", "node 1 switch 0 out", "node 1 switch 1 in", "gpu 6 in"));
  EXPECT_DOUBLE_EQ(alone_s(network, 5, 6, 10e6), 1e-6 + 10e6 / 25e9);
}

TEST(Network, GpusShareANic) {
  Cluster c = cluster();
  c.node.gpus_per_nic = 2;
  const Network network(c, 8);
  EXPECT_THAT(names(network, 0, 7), ElementsAre("node 0 nic 0 out", "node 1 nic 1 in"));
  EXPECT_THAT(names(network, 1, 6), ElementsAre("node 0 nic 0 out", "node 1 nic 1 in"));
}

TEST(Network, OneNodeMayBePartFilledAndOneGpuNeedsNoLinks) {
  EXPECT_EQ(Network(cluster(), 1).links().size(), 0u);
  EXPECT_EQ(Network(cluster(), 3).links().size(), 6u);
  EXPECT_EQ(Network(Cluster(), 1).gpus(), 1);
  Cluster one_node = cluster();
  one_node.node.nic_bytes_per_s = 0;
  EXPECT_EQ(Network(one_node, 4).node_of(3), 0);
  EXPECT_THAT(refusal(one_node, 8), HasSubstr("has no network, it is one box of 4 GPUs"));
}

/// Ranks 0 … 7 on GPUs 7 … 0: rank r has the routes of GPU 7 − r. Links are named after GPUs.
TEST(Network, SpeaksOfRanksWhereverTheySit) {
  const Network network(cluster(), Placement{"reversed", {7, 6, 5, 4, 3, 2, 1, 0}});
  EXPECT_THAT(names(network, 6, 5), ElementsAre("gpu 1 out", "gpu 2 in"));
  EXPECT_THAT(names(network, 4, 3), ElementsAre("node 0 nic 3 out", "node 1 nic 0 in"));
  EXPECT_TRUE(network.share_node(4, 7));
  EXPECT_FALSE(network.share_node(3, 4));
  EXPECT_EQ(network.node_of(0), 1);
  EXPECT_EQ(network.gpu_of(6), 1);
  EXPECT_EQ(network.nodes(), 2);
}

TEST(Network, RefusesAPlacementThatIsNoPermutation) {
  const auto refused = [](std::vector<int> gpu) -> std::string {
    try {
      Network network(cluster(), Placement{"bad", std::move(gpu)});
    } catch (const InvalidInput& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refused({0, 1, 2, 1}), HasSubstr("two ranks on GPU 1, one of them rank 3"));
  EXPECT_THAT(refused({0, 1, 2, 4}), HasSubstr("rank 3 on GPU 4 of 4: GPUs are 0 to 3"));
  EXPECT_THAT(refused({0, -1}), HasSubstr("rank 1 on GPU -1 of 2"));
  EXPECT_THAT(refused({}), HasSubstr("no ranks"));
  EXPECT_THAT(refused({1, 0, 2, 3, 4, 5}), HasSubstr("6 GPUs on nodes of 4"));
}

TEST(Network, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refusal(cluster(), 0), HasSubstr("0 GPUs"));
  EXPECT_THAT(refusal(cluster(), 6), HasSubstr("6 GPUs on nodes of 4: must be at most 4 or a multiple of it"));
  Cluster c = cluster();
  c.node.gpus_per_nic = 3;
  EXPECT_THAT(refusal(c, 8), HasSubstr("3 GPUs per NIC does not divide"));
  c = cluster();
  c.node.gpus_per_switch = 3;
  EXPECT_THAT(refusal(c, 4), HasSubstr("3 GPUs per switch does not divide"));
  c.node.gpus_per_switch = 2;
  EXPECT_THAT(refusal(c, 4), HasSubstr("a link between switches of 0 bytes/s"));
  c = cluster();
  c.node.link_bytes_per_s = 0;
  EXPECT_THAT(refusal(c, 2), HasSubstr("a GPU link of 0 bytes/s"));
  EXPECT_THAT(refusal(cluster({Fabric::Kind::kRail, 0, 1}), 8), HasSubstr("0 nodes per leaf"));
  EXPECT_THAT(refusal(cluster({Fabric::Kind::kFatTree, 2, 0}), 8), HasSubstr("oversubscription 0"));
}

/// Start-ups of 1 µs, 5 µs for 1 MB and 2 µs for 3 MB: 3 µs for 0.5 MB, 2 µs beyond 3 MB. Those between nodes differ.
TEST(Network, StartUpMayDependOnTheSize) {
  Cluster c;
  c.node = {.gpus = 2, .link_bytes_per_s = 1e9, .link_startup_s = 1e-6, .nic_bytes_per_s = 1e9, .nic_startup_s = 7e-6};
  c.node.link_startups = {{1e6, 5e-6}, {3e6, 2e-6}};
  c.node.nic_startups = {{1e6, 9e-6}};
  const Network network(c, 4);
  const Route near = network.route(0, 1), far = network.route(0, 2);
  for (auto [bytes, in_node, between] :
       {std::tuple{0.0, 1e-6, 7e-6}, {5e5, 3e-6, 8e-6}, {1e6, 5e-6, 9e-6}, {2e6, 3.5e-6, 9e-6}, {1e9, 2e-6, 9e-6}}) {
    EXPECT_NEAR(network.startup_s(near, bytes), in_node, 1e-15) << bytes;
    EXPECT_NEAR(network.startup_s(far, bytes), between, 1e-15) << bytes;
  }
}

/// GPUs under two root complexes: a message crosses the roots of both ends, or the one root of both. A root serves two
/// pairs per GPU at the rate of all its ports, and more pairs at a lower one.
TEST(Network, GpusOnCpusMeetAtTheirRoots) {
  Cluster c;
  c.node = {.gpus = 4, .link_bytes_per_s = 10e9, .gpus_per_root = 2, .root_bytes_per_s = 3e9};
  const Network network(c, 4);
  const auto crossed = [&](Rank from, Rank to) { return names(network, from, to); };
  EXPECT_THAT(crossed(0, 1), ::testing::ElementsAre("gpu 0 out", "node 0 root 0", "gpu 1 in"));
  EXPECT_THAT(crossed(0, 3), ::testing::ElementsAre("gpu 0 out", "node 0 root 0", "node 0 root 1", "gpu 3 in"));
  const Route route = network.route(0, 1);
  const Link& root = network.links()[route.links[1]];
  EXPECT_EQ(root.capacity(4, true), 40e9);
  EXPECT_EQ(root.capacity(5, true), 3e9);
  c.node.root_bytes_per_s = 50e9;  // few pairs are never slower than many
  EXPECT_EQ(Network(c, 4).links()[route.links[1]].capacity(1, false), 50e9);
}

/// Two switches under each of two roots: a message under one switch crosses no root.
TEST(Network, SwitchesOnCpusMeetAtTheirRoots) {
  Cluster c;
  c.node = {.gpus = 8,
            .link_bytes_per_s = 10e9,
            .gpus_per_switch = 2,
            .switch_bytes_per_s = 5e9,
            .gpus_per_root = 4,
            .root_bytes_per_s = 3e9};
  const Network network(c, 8);
  const auto crossed = [&](Rank from, Rank to) { return names(network, from, to); };
  EXPECT_THAT(crossed(0, 1), ::testing::ElementsAre("gpu 0 out", "gpu 1 in"));
  EXPECT_THAT(crossed(1, 2), ::testing::ElementsAre("gpu 1 out", "node 0 switch 0 out", "node 0 switch 1 in",
                                                    "node 0 root 0", "gpu 2 in"));
  EXPECT_THAT(crossed(7, 0), ::testing::ElementsAre("gpu 7 out", "node 0 switch 3 out", "node 0 switch 0 in",
                                                    "node 0 root 1", "node 0 root 0", "gpu 0 in"));
  c.node.gpus_per_switch = 4;
  c.node.gpus_per_root = 2;
  EXPECT_THROW(Network(c, 8), InvalidInput);  // a switch is under one root
}

TEST(Network, SharesOfOneDevice) {
  Cluster c;
  c.node = {.gpus = 4, .link_bytes_per_s = 10e9, .processors = 2, .shared_bytes_per_s = 15e9};
  const Network network(c, 4);
  const Route route = network.route(3, 1);
  std::vector<std::string> names;
  for (LinkId link : route) names.push_back(network.links()[link].name);
  EXPECT_THAT(names, ::testing::ElementsAre("gpu 3 out", "node 0 shared", "gpu 1 in"));
  EXPECT_EQ(network.links()[route.links[1]].bytes_per_s, 15e9);
  EXPECT_TRUE(network.compute_speed_varies());
  EXPECT_EQ(network.processor_share(1), 1);
  EXPECT_EQ(network.processor_share(2), 1);
  EXPECT_EQ(network.processor_share(4), 0.5);
  EXPECT_FALSE(Network(c, 2).compute_speed_varies());  // two ranks on two processors
  c.node.gpus_per_root = 2;
  c.node.root_bytes_per_s = 3e9;
  EXPECT_THROW(Network(c, 4), InvalidInput);
}

}  // namespace
}  // namespace meshattn::testing
