#include "core/execution/link_load.h"

#include <gmock/gmock.h>

#include <utility>
#include <vector>

#include "core/cluster/network.h"

namespace meshattn {
namespace {

/// A root complex carries 40 GB/s for up to four pairs of GPUs, and 3 GB/s for more. Two messages of one pair count
/// once.
TEST(LinkLoad, ARootComplexServesManyPairsMoreSlowly) {
  Cluster c;
  c.node = {.gpus = 4, .link_bytes_per_s = 10e9, .gpus_per_root = 2, .root_bytes_per_s = 3e9};
  const Network network(c, 4);
  const Route route = network.route(0, 1);
  LinkLoad load(network);
  const auto root = [&] { return load.capacity(route.links[1]); };
  const std::pair<Rank, Rank> pairs[] = {{0, 1}, {1, 0}, {0, 2}, {2, 0}, {3, 0}};
  for (const auto& [from, to] : pairs) {
    EXPECT_EQ(root(), 40e9);
    load.add_message(from, to, network.route(from, to));
  }
  EXPECT_EQ(root(), 3e9);
  load.add_message(0, 1, route);  // a second message of a pair
  load.remove_message(0, 1, route);
  EXPECT_EQ(root(), 3e9);
  load.remove_message(0, 1, route);
  EXPECT_EQ(root(), 40e9);
}

/// While a GPU computes, its port of 10 GB/s carries 8, and the shared link of its node 12 instead of 15. NICs carry as
/// much as before.
TEST(LinkLoad, ComputeSlowsPortsDown) {
  Cluster c;
  c.node = {.gpus = 2,
            .link_bytes_per_s = 10e9,
            .nic_bytes_per_s = 5e9,
            .shared_bytes_per_s = 15e9,
            .link_efficiency_during_compute = 0.8};
  const Network network(c, 4);
  EXPECT_TRUE(network.compute_slows_messages());
  LinkLoad load(network);
  const auto of = [&](Rank from, Rank to) {
    std::vector<double> bytes_per_s;
    const Route route = network.route(from, to);
    for (LinkId link : route) bytes_per_s.push_back(load.capacity(link));
    return bytes_per_s;
  };
  load.count_compute(1, 1);
  EXPECT_THAT(of(0, 1), testing::ElementsAre(10e9, 12e9, 8e9));
  EXPECT_THAT(of(1, 0), testing::ElementsAre(8e9, 12e9, 10e9));
  EXPECT_THAT(of(2, 3), testing::ElementsAre(10e9, 15e9, 10e9));
  EXPECT_THAT(of(1, 2), testing::ElementsAre(5e9, 5e9));
  load.count_compute(0, 1);
  load.count_compute(1, -1);
  EXPECT_THAT(of(0, 1), testing::ElementsAre(8e9, 12e9, 10e9));  // rank 0 computes
  load.count_compute(0, -1);
  EXPECT_THAT(of(0, 1), testing::ElementsAre(10e9, 15e9, 10e9));
  EXPECT_FALSE(Network(c, 1).compute_slows_messages());
  c.node.link_efficiency_during_compute = 1;
  EXPECT_FALSE(Network(c, 4).compute_slows_messages());
}

}  // namespace
}  // namespace meshattn
