#include "sim/simulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/base/error.h"
#include "core/schedule/schedule_builder.h"
#include "tests/support/message_schedule.h"

namespace meshattn {
namespace {

using ::testing::HasSubstr;
using testing::MessageSchedule;

constexpr Lane kFirst = 1, kSecond = 2;
constexpr double kNanosecond = 1e-9;

/// Two GPUs a node: 100 GB/s and 2 µs inside, a 50 GB/s NIC each and 5 µs between nodes. A block of 1e12 flops takes
/// 1 s at 1e12 flop/s.
Cluster cluster() {
  Cluster c;
  c.node = {.gpus = 2,
            .link_bytes_per_s = 100e9,
            .link_startup_s = 2e-6,
            .gpus_per_nic = 1,
            .nic_bytes_per_s = 50e9,
            .nic_startup_s = 5e-6};
  c.gpu.attention_flops_per_s = 1e12;
  return c;
}

std::variant<Trace, sim::Failure> try_simulate(const Schedule& schedule, const Cluster& c) {
  const int ranks = schedule.problem.ranks;
  return sim::simulate_isolated(schedule, Network(c, ranks), CostModel(c.gpu, schedule.problem));
}

Trace simulate(const Schedule& schedule, const Cluster& c) {
  const auto result = try_simulate(schedule, c);
  if (const auto* failure = std::get_if<sim::Failure>(&result)) throw SimulationError(failure->reason);
  return std::get<Trace>(result);
}

std::string failure(const Schedule& schedule, const Cluster& c) {
  const auto result = try_simulate(schedule, c);
  const auto* failure = std::get_if<sim::Failure>(&result);
  return failure == nullptr ? "no failure" : failure->reason;
}

/// The exchange of `rank` that a transfer is in.
OpId exchange_of(const Schedule& s, TransferId t, Rank rank) {
  for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)
    if (const auto* x = std::get_if<Exchange>(&s.ops[op]))
      if (std::ranges::count(s.transfers_of(*x), t) > 0) return op;
  throw InvalidSchedule("no such exchange");
}

/// Ends of transfers that have exchanges of their own, at the receiver.
std::vector<double> ends(const Schedule& s, const Trace& trace) {
  std::vector<double> ends;
  for (TransferId t = 0; t < s.transfers.size(); ++t)
    ends.push_back(trace.end_s[exchange_of(s, t, s.values[s.transfers[t].made].rank)]);
  return ends;
}

void expect_ends(const Schedule& s, const Cluster& c, const std::vector<double>& expected) {
  const std::vector<double> found = ends(s, simulate(s, c));
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], kNanosecond) << "message " << i;
}

/// 2 µs + 10 MB / 100 GB/s = 102 µs inside a node; 5 µs + 10 MB / 50 GB/s = 205 µs between nodes.
TEST(Simulator, MessageAloneTakesStartUpPlusBytesOverBandwidth) {
  for (auto [to, megabytes, seconds] : {std::tuple{1, 10, 102e-6}, {2, 10, 205e-6}, {1, 100, 1002e-6}, {3, 1, 25e-6}}) {
    MessageSchedule m(4);
    m.send(0, to, megabytes);
    expect_ends(m.finish(), cluster(), {seconds});
  }
}

/// A (10 MB) flows from 2 µs on. B (10 MB) is behind 4 MB the other way, which take 2 + 40 µs, and its own 2 µs: it
/// flows from 44 µs on. A has then moved 4.2 MB; both get 50 GB/s, and A's last 5.8 MB end at 44 + 116 = 160 µs. B has
/// moved 5.8 MB too; its last 4.2 MB, alone, end at 160 + 42 = 202 µs.
TEST(Simulator, FlowsShareAPortEquallyWheneverTheyCome) {
  MessageSchedule m(2);
  m.send(0, 1, 10, kFirst);
  m.send(1, 0, 4, kSecond);
  m.send(0, 1, 10, kSecond);
  expect_ends(m.finish(), cluster(), {160e-6, 42e-6, 202e-6});
}

TEST(Simulator, OppositeDirectionsDoNotDisturb) {
  for (Rank other : {1, 2}) {
    MessageSchedule m(4);
    const TransferId there = m.message(0, other, 10), back = m.message(other, 0, 10);
    m.exchange(0, {there, back});
    m.exchange(other, {back, there});
    const double alone = other == 1 ? 102e-6 : 205e-6;
    expect_ends(m.finish(), cluster(), {alone, alone});
  }
}

/// GPU 0 sends through its port and through its NIC: each takes its time alone, whether on two lanes or in one
/// exchange.
TEST(Simulator, PortAndNicMoveAtOnce) {
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
TEST(Simulator, SharedNicHalves) {
  Cluster c = cluster();
  c.node.gpus_per_nic = 2;
  MessageSchedule m(4);
  m.send(0, 2, 10);
  m.send(1, 3, 10);
  expect_ends(m.finish(), c, {405e-6, 405e-6});
}

/// Four GPUs on one CPU that passes on 10 GB/s to more than 8 pairs. Round a ring of four pairs, 10 MB take 2 + 100 µs.
/// From each to each, 12 pairs share the 10 GB/s: after 12 ms 10 MB of every message have come; of the ring's, 10 MB
/// more are left, which are as fast as those alone.
TEST(Simulator, ACpuServesManyPairsWorse) {
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

/// Ten SMs, of which an exchange takes two inside a node and one between nodes, for as long as it runs. Compute of 1 s
/// (7,812.5 tiles: 781.25 waves end as 782) loses 0.2 of the 102 µs that 10 MB take; with another exchange of 205 µs at
/// the same time also 0.1 of the 103 µs that this takes longer.
TEST(Simulator, ExchangesSlowComputeDown) {
  Cluster c = cluster();
  c.gpu.sms = 10;
  c.node.link_sms = 2;
  c.node.nic_sms = 1;
  const double block_s = 782 / 781.25;
  {
    MessageSchedule m(4);
    m.compute(0);
    m.send(0, 1, 10);
    const Schedule s = m.finish();
    EXPECT_NEAR(simulate(s, c).end_s[s.ops_begin(0)], block_s + 0.2 * 102e-6, kNanosecond);
  }
  {
    MessageSchedule m(4);
    m.compute(0);
    m.send(0, 2, 10);
    m.send(0, 1, 10, kSecond);  // at the same time, and takes more for as long as it runs
    const Schedule s = m.finish();
    EXPECT_NEAR(simulate(s, c).end_s[s.ops_begin(0)], block_s + 0.2 * 102e-6 + 0.1 * 103e-6, kNanosecond);
  }
}

/// Three ranks on a node with 2 processors: blocks of 1 s (by what one takes) that start together run at 2/3, so that
/// all end at 1.5; a rank of the other node at once. Where one has two blocks, the second runs alone.
TEST(Simulator, RanksShareProcessors) {
  Cluster c = cluster();
  c.node.gpus = 3;
  c.node.gpus_per_nic = 1;
  c.node.processors = 2;
  MessageSchedule m(6);
  for (Rank rank : {0, 1, 2, 3}) m.compute(rank);
  m.compute(0);
  const Schedule s = m.finish();
  const Trace trace = simulate(s, c);
  for (Rank rank : {0, 1, 2}) EXPECT_NEAR(trace.end_s[s.ops_begin(rank)], 1.5, kNanosecond) << rank;
  EXPECT_NEAR(trace.end_s[s.ops_begin(0) + 1], 2.5, kNanosecond);
  EXPECT_NEAR(trace.end_s[s.ops_begin(3)], 1, kNanosecond);
}

/// Copies on one device share its memory: two of 10 MB over 100 GB/s in all, each at 50, 1 + 200 µs; alone 101 µs.
TEST(Simulator, CopiesShareWhatTheyGoThrough) {
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

/// Ports of 100 GB/s pass 80 while their GPU computes. The receiver computes for 1 s all the while: 2 + 10 MB / 80 GB/s
/// = 127 µs. One that computes for 52 µs: by then 4 MB have come, and the other 6 take 60 µs more. Between nodes 205 as
/// ever.
TEST(Simulator, ComputeSlowsMessagesDown) {
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

/// A GPU computes at 3/4 while bytes flow through its port, not while a message waits or starts. The sender's and the
/// receiver's blocks of 1 s: 10 MB flow for 100 µs, so that both end 100 µs / 4 later. Rank 3 waits for rank 2 all
/// along.
TEST(Simulator, BytesThatFlowSlowComputeDown) {
  Cluster c = cluster();
  c.node.compute_efficiency_during_transfers = 0.75;
  MessageSchedule m(4);
  for (Rank rank : {0, 1, 2, 3}) m.compute(rank);
  m.send(0, 1, 10);
  m.send(2, 3, 10);
  Schedule s = m.finish();
  const OpId sending = exchange_of(s, 1, 2);
  s.waits.push_back({sending, sending - 1});
  const Trace trace = simulate(s, c);
  for (Rank rank : {0, 1}) EXPECT_NEAR(trace.end_s[s.ops_begin(rank)], 1 + 25e-6, kNanosecond) << rank;
  for (Rank rank : {2, 3}) EXPECT_NEAR(trace.end_s[s.ops_begin(rank)], 1, kNanosecond) << rank;
}

/// Leaves of 2 nodes, 4:1: trunks of 2 nodes × 2 NICs × 50 / 4 = 50 GB/s. Four flows over one: 12.5 GB/s, 5 + 800 µs.
TEST(Simulator, FatTreeTrunkIsShared) {
  Cluster c = cluster();
  c.fabric = {Fabric::Kind::kFatTree, 2, 4};
  MessageSchedule across(8), within(8);
  for (Rank r : {0, 1, 2, 3}) across.send(r, r + 4, 10);
  expect_ends(across.finish(), c, {805e-6, 805e-6, 805e-6, 805e-6});
  for (Rank r : {0, 1}) within.send(r, r + 2, 10);
  expect_ends(within.finish(), c, {205e-6, 205e-6});
}

/// Groups of 2 nodes, 4:1: a rail's trunk has 2 × 50 / 4 = 25 GB/s, so 10 MB take 5 + 400 µs over the spine.
TEST(Simulator, OtherRailsAndGroupsGoOverTheSpine) {
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

/// Rank 1 attends for 1 s before its exchange may start (a reuse wait): the transfer starts when both are there.
TEST(Simulator, TransferWaitsForBothEndsAndReuseWaitsAreKept) {
  MessageSchedule m(2);
  m.compute(1);
  m.send(0, 1, 10);
  Schedule s = m.finish();
  const OpId exchange = exchange_of(s, 0, 1);
  s.waits.push_back({exchange, exchange - 1});
  const Trace trace = simulate(s, cluster());
  EXPECT_EQ(trace.start_s[exchange_of(s, 0, 0)], 0);
  EXPECT_NEAR(trace.start_s[exchange], 1, kNanosecond);
  EXPECT_NEAR(trace.end_s[exchange], 1 + 102e-6, kNanosecond);
  EXPECT_NEAR(trace.makespan_s, 1 + 102e-6, kNanosecond);
}

/// The ring that the README promises: 64 MiB of keys and values of a chunk take 67108864 / 50e9 + 1e-6 = 1.34317728 ms
/// over a NIC, so every hop of a ring over several nodes does, and 0.1688 ms inside a node. A block takes 4 · 4096² ·
/// 128 · 32 / 274.877906944e12 = 1 ms. Hops follow each other: with N > 8 the last block starts after N − 1 hops; with
/// N = 8 every chunk is there in time and the N blocks follow each other.
TEST(Simulator, IdealRingIsExact) {
  Cluster c;
  c.node = {8, 400e9, 1e-6, 0, 0, 1, 50e9, 1e-6};
  c.gpu.attention_flops_per_s = 274.877906944e12;
  for (int n : {8, 16, 64, 256}) {
    const Problem problem{
        {n * 4096, n * 4096, 1, 32, 32, 128, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, n};
    OrderedTile plan;
    plan.tile = {1, n};
    for (int t = 1; t < n; ++t) {
      plan.steps.emplace_back(Hop::kColumnIn);
      plan.steps.emplace_back(Rectangle{0, 1, t - 1, t});
    }
    plan.steps.emplace_back(Rectangle{0, 1, n - 1, n});
    const double expected = n == 8 ? 8e-3 : (n - 1) * 1.34317728e-3 + 1e-3;
    EXPECT_NEAR(simulate(mesh(problem, plan, Dtype::kBf16), c).makespan_s, expected, kNanosecond) << n;
  }
}

TEST(Simulator, OneGpuOnlyComputes) {
  MessageSchedule m(1);
  m.compute(0);
  Cluster c;
  c.gpu = cluster().gpu;
  EXPECT_NEAR(simulate(m.finish(), c).makespan_s, 1, kNanosecond);
}

TEST(Simulator, DeadlockIsAFailureThatNamesWhoWaits) {
  MessageSchedule crossed(2);
  const TransferId a = crossed.message(0, 1, 1), b = crossed.message(0, 1, 1);
  crossed.exchange(0, {a});
  crossed.exchange(0, {b});
  crossed.exchange(1, {b});
  crossed.exchange(1, {a});
  EXPECT_EQ(failure(crossed.finish(), cluster()),
            "deadlock after 0 s: 2 of 2 ranks are stuck (rank 0 lane 1 in op 0, rank 1 lane 1 in op 2)");
  MessageSchedule alone(4);
  alone.send(2, 3, 10);
  alone.exchange(0, {alone.message(0, 1, 1)});
  EXPECT_THAT(failure(alone.finish(), cluster()), HasSubstr("1 of 4 ranks are stuck (rank 0 lane 1 in op 0)"));
}

TEST(Simulator, RanksNeedGpus) {
  MessageSchedule m(4);
  m.send(0, 1, 1);
  const Schedule s = m.finish();
  const auto result = sim::simulate_isolated(s, Network(cluster(), 2), CostModel(cluster().gpu, s.problem));
  ASSERT_TRUE(std::holds_alternative<sim::Failure>(result));
  EXPECT_THAT(std::get<sim::Failure>(result).reason, HasSubstr("4 ranks on 2 GPUs"));
}

TEST(Simulator, ChildThatDiesIsAFailure) {
  static int how = 0;
  pthread_atfork(nullptr, nullptr, [] {
    if (how == 1) raise(SIGKILL);
    if (how == 2) _Exit(7);
  });
  MessageSchedule m(2);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  how = 1;
  EXPECT_EQ(failure(s, cluster()), "the simulation was killed by SIGKILL");
  how = 2;
  EXPECT_EQ(failure(s, cluster()), "the simulation left with status 7");
  how = 0;
  expect_ends(s, cluster(), {102e-6});
}

/// What the parent had buffered and meant for its own end must not appear twice.
TEST(Simulator, ChildLeavesTheParentsOutputAlone) {
  MessageSchedule m(2);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  ::testing::internal::CaptureStdout();
  std::printf("once\n");
  expect_ends(s, cluster(), {102e-6});
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "once\n");
}

/// A ring of four, keys moving down, two GPUs a node on one NIC of 50 GB/s; KV of 10 MB, no compute. In order, one hop
/// of each node crosses to the other, alone on its NIC: a step takes 5 µs + 10 MB / 50 GB/s = 205 µs. With ranks 0, 1,
/// 2, 3 on GPUs 0, 2, 1, 3 all four hops cross, two on each NIC and direction: 5 µs + 20 MB / 50 GB/s = 405 µs.
TEST(Simulator, RanksSendFromWhereTheySit) {
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
    const auto result = sim::simulate_isolated(s, Network(c, placement), CostModel(c.gpu, s.problem));
    ASSERT_TRUE(std::holds_alternative<Trace>(result));
    EXPECT_NEAR(std::get<Trace>(result).makespan_s, kSteps * step_s, kNanosecond) << placement.name;
  }
}

TEST(Simulator, TwoSimulationsAgreeBitForBit) {
  MessageSchedule m(8);
  for (Lane lane : {kFirst, kSecond})
    for (Rank r = 0; r < 8; ++r) m.send(r, (3 * r + lane) % 8 == r ? (r + 1) % 8 : (3 * r + lane) % 8, 1 + r, lane);
  const Schedule s = m.finish();
  Cluster c = cluster();
  c.fabric = {Fabric::Kind::kRail, 2, 3};
  const Trace one = simulate(s, c), two = simulate(s, c);
  EXPECT_EQ(one.start_s, two.start_s);
  EXPECT_EQ(one.end_s, two.end_s);
  EXPECT_EQ(one.makespan_s, two.makespan_s);
}

TEST(SimulatorDeathTest, SecondSimulationInOneProcessIsRefused) {
  MessageSchedule m(2);
  m.send(0, 1, 10);
  const Schedule s = m.finish();
  const Network network(cluster(), 2);
  const CostModel cost(cluster().gpu, s.problem);
  const auto twice = [&] {
    const double first = sim::simulate(s, network, cost).makespan_s;
    try {
      (void)sim::simulate(s, network, cost);
    } catch (const SimulationError& e) {
      std::fprintf(stderr, "%.0f us, then: %s", first * 1e6, e.what());
      std::_Exit(0);
    }
    std::_Exit(1);
  };
  EXPECT_EXIT(twice(), ::testing::ExitedWithCode(0), "102 us, then: a second simulation in one process");
}

}  // namespace
}  // namespace meshattn
