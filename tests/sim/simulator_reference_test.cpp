#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/schedule/schedule_builder.h"
#include "sim/simulator.h"
#include "tests/gpu/schedules.h"
#include "tests/sim/reference_simulator.h"
#include "tests/support/plans.h"

namespace meshattn {
namespace {

using Random = std::mt19937;

int pick(Random& random, int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); }
double pick(Random& random, std::initializer_list<double> of) {
  return *(of.begin() + pick(random, 0, static_cast<int>(of.size()) - 1));
}

/// A cluster of any shape for this many GPUs, with figures that make ties and figures that do not.
Cluster random_cluster(Random& random, int gpus) {
  std::vector<int> per_node;
  for (int g = 1; g <= gpus; ++g)
    if (gpus % g == 0) per_node.push_back(g);
  Cluster c;
  c.node.gpus = per_node[static_cast<std::size_t>(pick(random, 0, static_cast<int>(per_node.size()) - 1))];
  c.node.link_bytes_per_s = pick(random, {400e9, 100e9, 312.7e9});
  c.node.link_startup_s = pick(random, {0, 1e-6, 2.37e-6});
  const auto divisor = [&] { return c.node.gpus % 2 == 0 ? pick(random, 1, 2) : 1; };
  c.node.gpus_per_switch = pick(random, 0, 1) * divisor();
  c.node.switch_bytes_per_s = pick(random, {50e9, 77.7e9});
  c.node.gpus_per_nic = divisor();
  c.node.nic_bytes_per_s = pick(random, {50e9, 25e9, 23.3e9});
  c.node.nic_startup_s = pick(random, {0, 1e-6, 7.13e-6});
  c.fabric = {static_cast<Fabric::Kind>(pick(random, 0, 2)), pick(random, 1, 3), pick(random, {1, 2, 3.7}),
              pick(random, 0, 3)};
  c.gpu.attention_flops_per_s = pick(random, {1e12, 1e13, 1e14});
  if (pick(random, 0, 2) == 0) {
    c.gpu.sms = 10;
    c.node.link_sms = pick(random, 0, 4);
    c.node.nic_sms = pick(random, 0, 4);
  }
  c.gpu.framework.host_s = pick(random, {0, 0, 0, 1.3e-6, 21e-6, 300e-6});
  if (pick(random, 0, 2) == 0) c.node.processors = pick(random, {1, 1.37, 2, 3});
  if (pick(random, 0, 3) == 0) {
    c.node.gpus_per_switch = 0;
    c.node.shared_bytes_per_s = pick(random, {60e9, 313.3e9});
  } else if (pick(random, 0, 2) == 0) {
    do c.node.gpus_per_root = divisor();
    while (c.node.gpus_per_switch > 0 && c.node.gpus_per_root % c.node.gpus_per_switch != 0);
    c.node.root_bytes_per_s = pick(random, {10e9, 33.3e9});
  }
  if (pick(random, 0, 2) == 0) c.node.link_efficiency_during_compute = pick(random, {0.5, 0.83});
  if (pick(random, 0, 2) == 0) c.node.compute_efficiency_during_transfers = pick(random, {0.6, 0.91});
  if (pick(random, 0, 2) == 0) c.node.link_startups = {{1e5, 7e-6}, {2e6, 3e-5}};
  return c;
}

/// A tile with rows and columns on one lane or on two.
Schedule random_mesh(Random& random, int ranks) {
  const std::vector<Tile> tiles = tiles_of(ranks);
  const Tile tile = tiles[static_cast<std::size_t>(pick(random, 0, static_cast<int>(tiles.size()) - 1))];
  const Pass pass = pick(random, 0, 1) == 0 ? Pass::kForward : Pass::kBackward;
  const Problem problem{{1024 * ranks, 1024 * ranks, 1, 8, 4, 64, Dtype::kBf16},
                        pick(random, 0, 1) == 0 ? Mask::kFull : Mask::kCausal,
                        static_cast<Partition>(pick(random, 0, 2)),
                        pass,
                        ranks};
  Schedule s = mesh(problem, testing::random_plan(tile, pass, random), Dtype::kFp32);
  if (pick(random, 0, 1) == 0)
    for (Transfer& t : s.transfers)
      if (on_kv_side(s.values[t.source].tensor)) t.lane = 2;
  return s;
}

/// Rounds of messages of any size between any ranks on any of three lanes, forwarded or not, with blocks between them
/// and waits for earlier ops. All ranks list the rounds in the same order, so that there is no deadlock.
Schedule random_rounds(Random& random, int ranks) {
  ScheduleBuilder b({{1000 * ranks, 1000 * ranks, 1, 16, 16, 50, Dtype::kBf16},
                     Mask::kFull,
                     Partition::kContiguous,
                     Pass::kForward,
                     ranks});
  std::vector<std::vector<ValueId>> held(static_cast<std::size_t>(ranks));
  const auto input = [&](Rank r) {
    const auto cell = static_cast<Cell>(r);
    return b.input(r, Tensor::kKV, b.region(std::span(&cell, 1), {0, pick(random, 1, 16)}), Dtype::kBf16);
  };
  for (int round = 0; round < 8; ++round) {
    std::vector<std::vector<TransferId>> exchange(static_cast<std::size_t>(ranks));
    const auto lane = static_cast<Lane>(pick(random, 1, 3));
    const auto before = held;
    for (int message = pick(random, 1, 2 * ranks); message > 0; --message) {
      const Rank from = pick(random, 0, ranks - 1), to = (from + pick(random, 1, ranks - 1)) % ranks;
      const auto& has = before[static_cast<std::size_t>(from)];
      const int which = pick(random, -1, static_cast<int>(has.size()) - 1);
      const TransferId t = b.transfer(which < 0 ? input(from) : has[static_cast<std::size_t>(which)], to, lane);
      for (Rank end : {from, to}) exchange[static_cast<std::size_t>(end)].push_back(t);
      held[static_cast<std::size_t>(to)].push_back(b.made(t));
    }
    for (Rank r = 0; r < ranks; ++r) {
      if (!exchange[static_cast<std::size_t>(r)].empty()) b.exchange(r, exchange[static_cast<std::size_t>(r)]);
      if (held[static_cast<std::size_t>(r)].empty() || pick(random, 0, 1) == 0) continue;
      const ValueId q = b.input(r, Tensor::kQ, b.chunk_region(r, Tensor::kQ), Dtype::kBf16);
      const ValueId o = b.declare(r, Tensor::kO, b.chunk_region(r, Tensor::kO), Dtype::kFp32);
      b.attend(r, {b.add_row(AttendRow{q, o}), b.add_column(held[static_cast<std::size_t>(r)].back()), 1, 1});
    }
  }
  Schedule s = b.finish();
  for (Rank r = 0; r < ranks; ++r)
    for (OpId op = s.ops_begin(r) + 1; op < s.ops_end(r); ++op)
      if (pick(random, 0, 3) == 0)
        s.waits.push_back({op, op - 1 - static_cast<OpId>(pick(random, 0, 3)) % (op - s.ops_begin(r))});
  return s;
}

/// Checks that no schedule is faster than the blocks of its busiest rank or the bytes of its busiest link.
double bound(const Schedule& s, const Network& network, const CostModel& cost) {
  double bound = 0;
  const std::vector<double> compute_s = cost.times(s).seconds;
  for (Rank r = 0; r < s.problem.ranks; ++r) {
    double busy = 0;
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) busy += compute_s[op];
    bound = std::max(bound, busy);
  }
  std::vector<double> busy(network.links().size());
  for (const Transfer& t : s.transfers)
    for (LinkId link : network.route(s.values[t.source].rank, s.values[t.made].rank))
      busy[link] += static_cast<double>(s.bytes(t.made)) / network.links()[link].bytes_per_s;
  for (double b : busy) bound = std::max(bound, b);
  return bound;
}

void expect_agreement(const Schedule& s, const Cluster& cluster) {
  const Network network(cluster, s.problem.ranks);
  const CostModel cost(cluster.gpu, s.problem);
  const auto result = sim::simulate_isolated(s, network, cost.times(s));
  if (const auto* failure = std::get_if<sim::Failure>(&result)) FAIL() << failure->reason;
  const Trace& found = std::get<Trace>(result);
  const Trace expected = simulate_reference(s, network, cost);
  constexpr double kTolerance = 10e-9;
  for (OpId op = 0; op < s.ops.size(); ++op) {
    ASSERT_NEAR(found.start_s[op], expected.start_s[op], kTolerance) << "op " << op;
    ASSERT_NEAR(found.end_s[op], expected.end_s[op], kTolerance) << "op " << op;
  }
  EXPECT_NEAR(found.makespan_s, expected.makespan_s, kTolerance);
  EXPECT_GE(found.makespan_s, bound(s, network, cost) * (1 - 1e-9));
}

TEST(SimulatorReference, AgreesOnTiles) {
  Random random(1);
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    const int ranks = pick(random, 1, 12);
    const Schedule s = random_mesh(random, ranks);
    expect_agreement(s, random_cluster(random, ranks));
  }
}

TEST(SimulatorReference, AgreesOnEveryAlgorithm) {
  Random random(4);
  for (int ranks : {4, 8})
    for (const auto& [name, s] : testing::schedules_of(ranks, Dtype::kBf16, 64)) {
      SCOPED_TRACE(name);
      expect_agreement(s, random_cluster(random, ranks));
    }
}

TEST(SimulatorReference, AgreesOnExchangesThatWaitForKernels) {
  Random random(3);
  for (int i = 0; i < 100; ++i) {
    SCOPED_TRACE(i);
    const int ranks = pick(random, 2, 12);
    const Schedule s = i % 2 == 0 ? random_mesh(random, ranks) : random_rounds(random, ranks);
    Cluster c = random_cluster(random, ranks);
    c.gpu.sms = 10;
    c.gpu.framework.late_exchanges = true;
    expect_agreement(s, c);
  }
}

TEST(SimulatorReference, AgreesOnAnyMessages) {
  Random random(2);
  for (int i = 0; i < 100; ++i) {
    SCOPED_TRACE(i);
    const int ranks = pick(random, 2, 12);
    const Schedule s = random_rounds(random, ranks);
    expect_agreement(s, random_cluster(random, ranks));
  }
}

}  // namespace
}  // namespace meshattn
