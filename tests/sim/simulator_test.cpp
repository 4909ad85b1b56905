#include "sim/simulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/algorithms/mesh.h"
#include "tests/sim/simulated_messages.h"

namespace meshattn {
namespace {

using testing::cluster;
using testing::exchange_of;
using testing::failure;
using ::testing::HasSubstr;
using testing::kFirst;
using testing::kNanosecond;
using testing::kSecond;
using testing::MessageSchedule;
using testing::simulate;

/// Ten SMs, of which an exchange takes two in a node and one between nodes while it runs. Compute of 1 s (7,812.5
/// thread blocks: 781.25 waves, rounded up to 782) loses 0.2 of the 102 µs that 10 MB take. With an exchange of 205 µs
/// at the same time it also loses 0.1 of the other 103 µs.
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
    m.send(0, 1, 10, kSecond);
    const Schedule s = m.finish();
    EXPECT_NEAR(simulate(s, c).end_s[s.ops_begin(0)], block_s + 0.2 * 102e-6 + 0.1 * 103e-6, kNanosecond);
  }
}

/// Three ranks share 2 processors of a node. Blocks of 1 s that start together run at 2/3 and end at 1.5 s; a second
/// block of rank 0 then runs alone. Rank 3 is alone on its node.
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

/// A GPU computes at 3/4 while bytes flow through its port, but not while a message waits or starts up. 10 MB flow for
/// 100 µs, so that blocks of 1 s at both ends take 100 µs / 4 longer. Rank 2 sends after its block, so rank 3's message
/// waits and slows nothing.
TEST(Simulator, FlowingBytesSlowComputeDown) {
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

/// Rank 1 computes for 1 s before its exchange may start, by a reuse wait. The transfer starts when both exchanges
/// have.
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

/// 64 MiB of keys and values of a chunk take 67108864 / 50e9 + 1e-6 = 1.34317728 ms over a NIC, and so does every hop
/// of a ring over several nodes; in a node they take 0.1688 ms. A block takes 4 · 4096² · 128 · 32 / 274.877906944e12 =
/// 1 ms. With N > 8 ranks the last block starts after N − 1 hops; with N = 8 every chunk arrives in time, and the
/// blocks follow each other without a wait.
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
  const auto result = sim::simulate_isolated(s, Network(cluster(), 2), CostModel(cluster().gpu, s.problem).times(s));
  ASSERT_TRUE(std::holds_alternative<sim::Failure>(result));
  EXPECT_THAT(std::get<sim::Failure>(result).reason, HasSubstr("4 ranks on 2 GPUs"));
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

}  // namespace
}  // namespace meshattn
