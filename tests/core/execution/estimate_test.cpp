#include "core/execution/estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/algorithms/catalogue.h"
#include "core/base/error.h"
#include "core/planner/plan.h"
#include "core/planner/tile_costs.h"
#include "core/schedule/dependencies.h"
#include "tests/support/message_schedule.h"

namespace meshattn {
namespace {

using ::testing::HasSubstr;

constexpr Lane kFirst = 1, kSecond = 2;

/// Nodes of two GPUs that share a NIC of 50 GB/s; 100 GB/s and 2 µs in a node, 5 µs between nodes; 1e12 flop/s.
Cluster cluster() {
  Cluster c;
  c.gpu.attention_flops_per_s = 1e12;
  c.node = {.gpus = 2,
            .link_bytes_per_s = 100e9,
            .link_startup_s = 2e-6,
            .gpus_per_nic = 2,
            .nic_bytes_per_s = 50e9,
            .nic_startup_s = 5e-6};
  return c;
}

/// Ranks on nodes of two, with messages of 10 MB.
class Ranks : public testing::MessageSchedule {
 public:
  explicit Ranks(int ranks = 4) : MessageSchedule(ranks) {}
  TransferId message(Rank from, Rank to, Lane lane, Tensor tensor = Tensor::kKV) {
    return MessageSchedule::message(from, to, 10, lane, tensor);
  }
  void send(Rank from, Rank to, Lane lane) { MessageSchedule::send(from, to, 10, lane); }
};

Trace estimated(const Schedule& s, Receive receive = Receive::kEarly) {
  return estimate(s, Network(cluster(), s.problem.ranks), CostModel(cluster().gpu, s.problem).times(s), receive);
}

double seconds_of(Ranks& r) { return estimated(r.finish()).makespan_s; }

/// 2 µs + 10 MB / 100 GB/s in a node, 5 µs + 10 MB / 50 GB/s between nodes. Messages of one lane follow one another.
TEST(Estimate, AMessageTakesStartUpPlusBytesOverTheSlowestLink) {
  Ranks inside, between, after;
  inside.send(0, 1, kFirst);
  between.send(0, 2, kFirst);
  after.send(0, 2, kFirst), after.send(0, 2, kFirst);
  EXPECT_DOUBLE_EQ(seconds_of(inside), 102e-6);
  EXPECT_DOUBLE_EQ(seconds_of(between), 205e-6);
  EXPECT_DOUBLE_EQ(seconds_of(after), 410e-6);
}

/// Both GPUs of node 0 send at once over their NIC: 5 µs + 20 MB / 50 GB/s = 405 µs.
TEST(Estimate, TransfersShareTheirLinks) {
  Ranks r;
  r.send(0, 2, kFirst), r.send(1, 3, kFirst);
  EXPECT_DOUBLE_EQ(seconds_of(r), 405e-6);
}

/// As in the simulation: a port of 100 GB/s carries 80 while its GPU computes, for 52 µs. By then 4 MB have arrived;
/// the other 6 take 60 µs more.
TEST(Estimate, ComputeSlowsMessagesDown) {
  Cluster c = cluster();
  c.node.link_efficiency_during_compute = 0.8;
  c.gpu.attention_flops_per_s = 1e12 / 52e-6;
  Ranks r;
  r.compute(0);
  r.send(0, 1, kFirst);
  const Schedule s = r.finish();
  EXPECT_NEAR(estimate(s, Network(c, 4), CostModel(c.gpu, s.problem).times(s)).makespan_s, 112e-6, 1e-12);
}

/// Two lanes of rank 0 share its NIC until both messages have arrived, at 5 µs + 20 MB / 50 GB/s; the third is alone.
TEST(Estimate, LanesShareTheirLinksWhileBothSend) {
  Ranks r;
  r.send(0, 2, kFirst), r.send(0, 2, kSecond);
  EXPECT_DOUBLE_EQ(seconds_of(r), 405e-6);
  r = Ranks();
  r.send(0, 2, kFirst), r.send(0, 2, kSecond), r.send(0, 2, kFirst);
  EXPECT_DOUBLE_EQ(seconds_of(r), 405e-6 + 205e-6);
}

/// A (10 MB) flows from 5 µs on. B waits for 4 MB the other way, 5 + 80 µs, and for its own start-up of 5 µs: it flows
/// from 90 µs on. A has then moved 4.25 MB. Both get 25 GB/s, and the last 5.75 MB of A arrive at 90 + 230 = 320 µs. B
/// has moved 5.75 MB too; its last 4.25 MB, alone, arrive at 320 + 85 = 405 µs.
TEST(Estimate, SharesChangeWhenTransfersComeAndGo) {
  testing::MessageSchedule m(4);
  m.send(0, 2, 10, kFirst), m.send(2, 0, 4, kSecond), m.send(0, 2, 10, kSecond);
  const Trace t = estimated(m.finish());  // rank 0: A, back, B; rank 2 the same
  EXPECT_DOUBLE_EQ(t.end_s[0], 320e-6);
  EXPECT_DOUBLE_EQ(t.end_s[1], 85e-6);
  EXPECT_DOUBLE_EQ(t.end_s[2], 405e-6);
}

/// Equal shares are not max-min fair. A and B (10 MB each) leave node 0 by one NIC; B, C and D enter node 2 by one, and
/// get a third of 50 GB/s there: they take 5 + 600 µs. Max-min fairness gives A the other two thirds of node 0's NIC, 5
/// + 300 µs; here A gets half of it, 5 + 400 µs.
TEST(Estimate, GivesUnusedBandwidthToNobody) {
  Ranks r(8);
  r.send(0, 2, kFirst), r.send(1, 4, kFirst), r.send(6, 5, kFirst), r.send(7, 4, kSecond);
  const Schedule s = r.finish();
  const Trace t = estimated(s);
  EXPECT_DOUBLE_EQ(t.end_s[s.ops_begin(0)], 405e-6);
  EXPECT_DOUBLE_EQ(t.end_s[s.ops_begin(1)], 605e-6);
}

/// Four GPUs under one root complex. All to all are 12 pairs, which share 10 GB/s: 2 µs + 12 · 10 MB / 10 GB/s. In a
/// ring a message takes 2 µs + 10 MB / 100 GB/s.
TEST(Estimate, RootComplexIsSlowerForManyPairs) {
  Cluster c = cluster();
  c.node.gpus = c.node.gpus_per_nic = c.node.gpus_per_root = 4;
  c.node.root_bytes_per_s = 10e9;
  for (auto [steps, seconds] : {std::pair{1, 102e-6}, {3, 12.002e-3}}) {
    Ranks ranks;
    std::vector<std::vector<TransferId>> of(4);
    for (Rank from : {0, 1, 2, 3})
      for (int step = 1; step <= steps; ++step) {
        const TransferId t = ranks.message(from, (from + step) % 4, kFirst);
        for (Rank end : {from, (from + step) % 4}) of[static_cast<std::size_t>(end)].push_back(t);
      }
    for (Rank r : {0, 1, 2, 3}) ranks.exchange(r, of[static_cast<std::size_t>(r)]);
    const Schedule s = ranks.finish();
    EXPECT_NEAR(estimate(s, Network(c, 4), CostModel(c.gpu, s.problem).times(s)).makespan_s, seconds, 1e-12);
  }
}

/// Opposite directions do not disturb each other, and an exchange ends with the last of its transfers.
TEST(Estimate, AnExchangeEndsWithItsLastTransfer) {
  Ranks r;
  const TransferId there = r.message(0, 2, kFirst), back = r.message(2, 0, kFirst), near = r.message(0, 1, kFirst);
  r.exchange(0, {there, back, near}), r.exchange(2, {there, back}), r.exchange(1, {near});
  const Trace t = estimated(r.finish());
  EXPECT_DOUBLE_EQ(t.end_s[0], 205e-6);
  EXPECT_DOUBLE_EQ(t.end_s[1], 102e-6);  // rank 1
}

/// Rank 2 computes for 1 s, listed before the exchange. The exchange starts at once if early. As listed, both ends wait
/// for the compute if it receives keys, but not if it receives partial results: O of 10 heads is 5 MB and 10,000 · 10 ·
/// 4 B of log-sum-exp.
TEST(Estimate, AsListedKeysWaitForComputeAndPartialsDoNot) {
  for (const Receive receive : {Receive::kEarly, Receive::kAsListed})
    for (const bool partial : {false, true}) {
      Ranks r;
      const TransferId t = r.message(0, 2, kFirst, partial ? Tensor::kO : Tensor::kKV);
      r.compute(2);
      r.exchange(0, {t}), r.exchange(2, {t});
      const Trace trace = estimated(r.finish(), receive);  // ops: exchange of rank 0; attend, exchange of rank 2
      const double start = receive == Receive::kAsListed && !partial ? 1 : 0;
      EXPECT_EQ(trace.start_s[0], 0);
      EXPECT_DOUBLE_EQ(trace.start_s[2], start);
      EXPECT_DOUBLE_EQ(trace.end_s[0], start + 5e-6 + (partial ? 5.4e6 : 10e6) / 50e9);
      EXPECT_EQ(trace.end_s[0], trace.end_s[2]);
      EXPECT_GE(trace.makespan_s, 1);
    }
}

TEST(Estimate, NamesADeadlock) {
  Ranks crossed;
  const TransferId one = crossed.message(0, 2, kFirst), two = crossed.message(0, 2, kFirst);
  crossed.exchange(0, {one}), crossed.exchange(0, {two});
  crossed.exchange(2, {two}), crossed.exchange(2, {one});
  try {
    (void)estimated(crossed.finish());
    FAIL() << "no deadlock";
  } catch (const InvalidSchedule& e) {
    EXPECT_THAT(e.what(), HasSubstr("deadlock after 0 s: 2 of 4 ranks are stuck (rank 0 lane 1 in op 0"));
  }
}

/// Makespan if every rank ran the ops of rank 0 and every hop had one cost.
Trace in_step(const Schedule& s, const TileCosts& hops, const CostModel& cost) {
  const auto price = [&](Tensor tensor) {
    if (on_kv_side(tensor)) return is_partial(tensor) ? hops.column_out : hops.column_in;
    return is_partial(tensor) ? hops.row_out : hops.row_in;
  };
  const Dependencies dependencies(s);
  const std::vector<double> compute_s = cost.times(s).seconds;
  Trace trace{std::vector<double>(s.ops.size()), std::vector<double>(s.ops.size()), 0};
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::vector<double> lane_end(static_cast<std::size_t>(s.lanes()));
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      double& lane = lane_end[s.lane(s.ops[op])];
      double start = lane, seconds = compute_s[op];
      for (OpId before : dependencies.of(op)) start = std::max(start, trace.end_s[before]);
      if (const auto* exchange = std::get_if<Exchange>(&s.ops[op])) {
        const Tensor tensor = s.values[s.transfers[s.transfers_of(*exchange).front()].made].tensor;
        seconds = price(tensor);
        if (!is_partial(tensor)) start = std::max(start, lane_end[kComputeLane]);
      }
      trace.start_s[op] = start;
      lane = trace.end_s[op] = start + seconds;
    }
  }
  return trace;
}

/// One node, full mask: all ranks are alike.
TEST(Estimate, EqualsThatOfOneRankIfAllAreAlike) {
  Cluster c = cluster();
  c.node.gpus = 12;
  const Network network(c, 12);
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Tile tile : tiles_of(12)) {
      Configuration r;
      r.problem = {{12 * 256L, 12 * 256L, 1, 8, 2, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, pass, 12};
      r.form.tile = tile;
      const CostModel cost(c.gpu, r.problem);
      const Schedule s = plan_phase(r, network, cost).schedule;
      const Trace found = estimate(s, network, cost.times(s), Receive::kAsListed),
                  expected = in_step(s, tile_costs(r, network, cost), cost);
      for (OpId op = 0; op < s.ops.size(); ++op) {
        ASSERT_NEAR(found.start_s[op], expected.start_s[op], 1e-12) << tile.rows << 'x' << tile.columns;
        ASSERT_NEAR(found.end_s[op], expected.end_s[op], 1e-12) << tile.rows << 'x' << tile.columns;
      }
    }
}

}  // namespace
}  // namespace meshattn
