#include <gtest/gtest.h>

#include <tuple>
#include <utility>
#include <vector>

#include "tests/sim/simulated_messages.h"

namespace meshattn {
namespace {

using testing::cluster;
using testing::exchange_of;
using testing::expect_ends;
using testing::kFirst;
using testing::kNanosecond;
using testing::kSecond;
using testing::MessageSchedule;
using testing::simulate;

/// 2 µs + 10 MB / 100 GB/s = 102 µs inside a node; 5 µs + 10 MB / 50 GB/s = 205 µs between nodes.
TEST(Platform, MessageAloneTakesStartUpPlusBytesOverBandwidth) {
  for (auto [to, megabytes, seconds] : {std::tuple{1, 10, 102e-6}, {2, 10, 205e-6}, {1, 100, 1002e-6}, {3, 1, 25e-6}}) {
    MessageSchedule m(4);
    m.send(0, to, megabytes);
    expect_ends(m.finish(), cluster(), {seconds});
  }
}

/// A (10 MB) flows from 2 µs on. B (10 MB) waits for 4 MB the other way, 2 + 40 µs, and for its own start-up of 2 µs:
/// it flows from 44 µs on. A has then moved 4.2 MB. Both get 50 GB/s, and the last 5.8 MB of A arrive at 44 + 116 = 160
/// µs. B has moved 5.8 MB too; its last 4.2 MB, alone, arrive at 160 + 42 = 202 µs.
TEST(Platform, FlowsShareAPortEquallyWheneverTheyStart) {
  MessageSchedule m(2);
  m.send(0, 1, 10, kFirst);
  m.send(1, 0, 4, kSecond);
  m.send(0, 1, 10, kSecond);
  expect_ends(m.finish(), cluster(), {160e-6, 42e-6, 202e-6});
}

TEST(Platform, OppositeDirectionsDoNotDisturb) {
  for (Rank other : {1, 2}) {
    MessageSchedule m(4);
    const TransferId there = m.message(0, other, 10), back = m.message(other, 0, 10);
    m.exchange(0, {there, back});
    m.exchange(other, {back, there});
    const double alone = other == 1 ? 102e-6 : 205e-6;
    expect_ends(m.finish(), cluster(), {alone, alone});
  }
}

/// GPU 0 sends through its port and through its NIC. Each message takes the time that it takes alone, on two lanes or
/// in one exchange.
TEST(Platform, PortAndNicWorkAtTheSameTime) {
  MessageSchedule lanes(4);
  lanes.send(0, 1, 10, kFirst);
  lanes.send(0, 2, 10, kSecond);
  expect_ends(lanes.finish(), cluster(), {102e-6, 205e-6});
  MessageSchedule one(4);
  const TransferId near = one.message(0, 1, 10), far = one.message(0, 2, 10);
  one.exchange(0, {near, far});
  one.exchange(1, {near});
  one.exchange(2, {far});
  const Schedule s = one.finish();
  expect_ends(s, cluster(), {102e-6, 205e-6});
  // The sender's exchange ends with the last of the two.
  EXPECT_NEAR(simulate(s, cluster()).end_s[exchange_of(s, near, 0)], 205e-6, kNanosecond);
}

/// 0 → 2 and 1 → 3 through one NIC at either end: 25 GB/s each, 5 + 400 µs.
TEST(Platform, SharedNicGivesEachHalf) {
  Cluster c = cluster();
  c.node.gpus_per_nic = 2;
  MessageSchedule m(4);
  m.send(0, 2, 10);
  m.send(1, 3, 10);
  expect_ends(m.finish(), c, {405e-6, 405e-6});
}

/// Four GPUs under one root complex that carries 10 GB/s for more than 8 pairs. In a ring of four pairs 10 MB take
/// 2 + 100 µs. All to all, 12 pairs share the 10 GB/s: after 12 ms 10 MB of every message have arrived. Messages of the
/// ring have 10 MB left, which are as fast as alone.
TEST(Platform, RootComplexIsSlowerForManyPairs) {
  Cluster c = cluster();
  c.node.gpus = 4;
  c.node.gpus_per_root = 4;
  c.node.root_bytes_per_s = 10e9;
  for (auto [steps, megabytes, seconds] : {std::tuple{1, 10, 102e-6}, {3, 20, 12.102e-3}}) {
    MessageSchedule m(4);
    std::vector<std::vector<TransferId>> of(4);
    for (Rank from : {0, 1, 2, 3})
      for (int step = 1; step <= steps; ++step) {
        const Rank to = (from + step) % 4;
        const TransferId t = m.message(from, to, step == 1 ? megabytes : 10);
        for (Rank end : {from, to}) of[static_cast<std::size_t>(end)].push_back(t);
      }
    for (Rank r : {0, 1, 2, 3}) m.exchange(r, of[static_cast<std::size_t>(r)]);
    expect_ends(m.finish(), c, std::vector<double>(static_cast<std::size_t>(4 * steps), seconds));
  }
}

/// Messages of a node share 100 GB/s: two of 10 MB take a start-up + 200 µs each, one alone a start-up + 100 µs.
TEST(Platform, MessagesOfANodeShareItsLimit) {
  Cluster c = cluster();
  c.node.gpus = 4;
  c.node.gpus_per_nic = 1;
  c.node.shared_bytes_per_s = 100e9;
  MessageSchedule two(4), one(4);
  two.send(0, 1, 10);
  two.send(2, 3, 10);
  expect_ends(two.finish(), c, {c.node.link_startup_s + 200e-6, c.node.link_startup_s + 200e-6});
  one.send(0, 1, 10);
  expect_ends(one.finish(), c, {c.node.link_startup_s + 100e-6});
}

/// Ports of 100 GB/s carry 80 while their GPU computes. If either end computes for 1 s, 10 MB take 2 µs + 10 MB / 80
/// GB/s = 127 µs; if the sender computes for 52 µs, 4 MB have arrived by then and the other 6 take 60 µs more. Between
/// nodes they take 205 µs as without compute.
TEST(Platform, ComputeSlowsMessagesDown) {
  Cluster c = cluster();
  c.node.link_efficiency_during_compute = 0.8;
  for (Rank computes : {0, 1}) {
    MessageSchedule m(4);
    m.compute(computes);
    m.send(0, 1, 10);
    expect_ends(m.finish(), c, {127e-6});
  }
  MessageSchedule between(4);
  between.compute(0);
  between.send(0, 2, 10);
  expect_ends(between.finish(), c, {205e-6});
  MessageSchedule soon(4);
  soon.compute(0);
  soon.send(0, 1, 10);
  c.gpu.attention_flops_per_s = 1e12 / 52e-6;
  expect_ends(soon.finish(), c, {112e-6});
}

/// Leaves of 2 nodes, 4:1: trunks of 2 nodes × 2 NICs × 50 / 4 = 50 GB/s. Four flows over one: 12.5 GB/s, 5 + 800 µs.
TEST(Platform, FatTreeTrunkIsShared) {
  Cluster c = cluster();
  c.fabric = {Fabric::Kind::kFatTree, 2, 4};
  MessageSchedule across(8), within(8);
  for (Rank r : {0, 1, 2, 3}) across.send(r, r + 4, 10);
  expect_ends(across.finish(), c, {805e-6, 805e-6, 805e-6, 805e-6});
  for (Rank r : {0, 1}) within.send(r, r + 2, 10);
  expect_ends(within.finish(), c, {205e-6, 205e-6});
}

/// Groups of 2 nodes, 4:1: the trunk of a rail has 2 × 50 / 4 = 25 GB/s, so 10 MB take 5 + 400 µs over the spine.
TEST(Platform, OtherRailsAndGroupsGoOverTheSpine) {
  Cluster c = cluster();
  c.fabric = {Fabric::Kind::kRail, 2, 4};
  for (auto [to, seconds] : {std::pair{2, 205e-6}, {3, 405e-6}, {4, 405e-6}}) {
    MessageSchedule m(8);
    m.send(0, to, 10);
    expect_ends(m.finish(), c, {seconds});
  }
  // Both GPUs of a node to the next node of their rails: no common link.
  MessageSchedule rails(8);
  rails.send(0, 2, 10);
  rails.send(1, 3, 10);
  expect_ends(rails.finish(), c, {205e-6, 205e-6});
}

/// A ring of four ranks, two GPUs per node on one NIC of 50 GB/s; KV of 10 MB, no compute. In the linear placement one
/// hop of each node leaves it, alone on its NIC: a step takes 5 µs + 10 MB / 50 GB/s = 205 µs. With ranks 0, 1, 2, 3 on
/// GPUs 0, 2, 1, 3 all four hops leave, two on each NIC and direction: 5 µs + 20 MB / 50 GB/s = 405 µs.
TEST(Platform, RanksSendFromTheirGpus) {
  MessageSchedule m(4);
  constexpr int kSteps = 3;
  for (int step = 0; step < kSteps; ++step) {
    std::vector<TransferId> down;  // by sender
    for (Rank r = 0; r < 4; ++r) down.push_back(m.message(r, (r + 3) % 4, 10));
    for (std::size_t r = 0; r < 4; ++r) m.exchange(static_cast<Rank>(r), {down[r], down[(r + 1) % 4]});
  }
  const Schedule s = m.finish();
  Cluster c = cluster();
  c.node.gpus_per_nic = 2;
  for (const auto& [placement, step_s] :
       {std::pair{linear_placement(4), 205e-6}, {Placement{"crossed", {0, 2, 1, 3}}, 405e-6}}) {
    const auto result = sim::simulate_isolated(s, Network(c, placement), CostModel(c.gpu, s.problem).times(s));
    ASSERT_TRUE(std::holds_alternative<Trace>(result));
    EXPECT_NEAR(std::get<Trace>(result).makespan_s, kSteps * step_s, kNanosecond) << placement.name;
  }
}

}  // namespace
}  // namespace meshattn
