#include <gtest/gtest.h>

#include <algorithm>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/cluster/cluster_file.h"
#include "core/execution/cost_model.h"
#include "core/execution/estimate.h"
#include "core/planner/plan.h"
#include "tests/support/measured_gpu.h"

namespace meshattn {
namespace {

using testing::measured;
using testing::problem;

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

/// A ring: each rank forwards keys while it attends those that have arrived.
Schedule ring_of_four(const Problem& p) {
  OrderedTile plan{{1, 4}, p.pass, {}, 0, 0, 0};
  for (int column = 0; column < 4; ++column) {
    if (column < 3) plan.steps.emplace_back(Hop::kColumnIn);
    plan.steps.emplace_back(Rectangle{0, 1, column, column + 1});
  }
  if (p.pass == Pass::kBackward) plan.steps.insert(plan.steps.end(), 3, Hop::kColumnOut);
  return mesh(p, plan, Dtype::kFp32);
}

/// Zigzag on 4 ranks: rank 0 attends the keys of another rank with its second cell only, rank 3 with both cells. So
/// each merge covers half the tokens of rank 0, a part of its sum, but all tokens of rank 3.
TEST(Framework, AFrameworkMovesItsBytes) {
  const Problem p = problem(4096, 4, Mask::kCausal, Pass::kForward, Partition::kZigzag);
  const Schedule s = ring_of_four(p);
  GpuProfile gpu = measured();
  const std::vector<double> seconds = CostModel(gpu, p).times(s).seconds;
  const auto more = [&](Rank r) {
    const std::vector<double> with = CostModel(gpu, p).times(s).seconds;
    double more_s = 0;
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) more_s += with[op] - seconds[op];
    return more_s;
  };
  const double elements = 1024.0 * 32 * 129;  // elements of an fp32 sum with its log-sum-exp
  gpu.framework.merge_bytes = 38;
  EXPECT_NEAR(more(0), 3 * 26 * elements / 2 / 1e12, 1e-15);
  EXPECT_NEAR(more(3), 3 * 26 * elements / 1e12, 1e-15);
  gpu.framework = {.part_bytes = 8};
  EXPECT_NEAR(more(0), 3 * 8 * elements / 2 / 1e12, 1e-15);
  EXPECT_NEAR(more(3), 0, 1e-15);
  gpu.framework = {.output_bytes = 6};
  EXPECT_NEAR(more(0), 6 * 1024.0 * 32 * 130 / 1e12, 1e-15);  // a bf16 output with its log-sum-exp
  gpu.framework = {.merge_kernels = 9};
  EXPECT_NEAR(more(3), 3 * 8 * gpu.launch_s, 1e-15);
  gpu.framework = {.gradient_kernels = 9};
  EXPECT_EQ(more(3), 0);
  gpu.framework = {.gradient_bytes = 1e6};
  EXPECT_EQ(more(0), 0);
}

/// A ring of 4: 1,024 queries of 32 heads are 256 thread blocks, three waves on 100 SMs. A message that takes as long
/// as a kernel, T, starts 2 T / 3 after the kernel beside it and ends T later, when the next kernel starts. Three of
/// these precede the last kernel, its merge and the cast. If the number of SMs is unknown, both start together.
TEST(Framework, ALateExchangeRunsBesideTheLastWave) {
  const Problem p = problem(4096, 4);
  const Schedule s = ring_of_four(p);
  Cluster c;
  c.gpu = measured();
  c.gpu.combine_bytes_per_s = 5e12;  // merging takes less than two waves
  for (auto [sms, late] : {std::pair{100, true}, {256, true}, {0, true}, {100, false}}) {
    c.gpu.sms = sms;
    c.gpu.framework.late_exchanges = late;
    const OpTimes times = CostModel(c.gpu, p).times(s);
    EXPECT_EQ(times.last_wave_s.empty(), !late);
    const double kernel_s = *std::ranges::find_if(times.seconds, [](double seconds) { return seconds > 0; });
    const double merged_s = *std::ranges::max_element(times.seconds) - kernel_s;
    const double cast_s = times.seconds[s.ops_end(0) - 1];
    c.node = {.gpus = 4, .link_bytes_per_s = 2 * 1024 * 8 * 128 * 2 / kernel_s};
    const double expected_s = late && sms == 100 ? 6 * kernel_s : 4 * kernel_s + 2 * merged_s;
    EXPECT_NEAR(estimate(s, Network(c, 4), times).makespan_s, expected_s + merged_s + cast_s, 1e-12) << sms << late;
  }
}

/// A ring of 4: four kernels and the cast of their sum take the host a second each, so the last one is issued after 5
/// s, to the nanosecond, whatever SMs exchanges take. A host that takes less than a kernel does is always ahead, and
/// nothing waits for it. The host never makes a kernel longer.
TEST(Framework, NothingStartsBeforeItsHostHasIssuedIt) {
  const Problem p = problem(4096, 4);
  const Schedule s = ring_of_four(p);
  Cluster c;
  c.gpu = measured();
  c.gpu.sms = 100;
  c.node = {.gpus = 4, .link_bytes_per_s = 1e15, .link_sms = 16};
  const auto makespan_s = [&](double host_s, OpTimes* times) {
    c.gpu.framework.host_s = host_s;
    *times = CostModel(c.gpu, p).times(s);
    return estimate(s, Network(c, 4), *times).makespan_s;
  };
  OpTimes free, late, ahead;
  const double free_s = makespan_s(0, &free);
  EXPECT_TRUE(free.issued_s.empty());
  EXPECT_NEAR(makespan_s(1, &late), 5, 1e-9);
  EXPECT_EQ(late.seconds, free.seconds);
  EXPECT_EQ(late.issued_s[s.ops_begin(1)], 0);  // each rank has a host of its own
  EXPECT_EQ(makespan_s(0.4 * free_s / 4, &ahead), free_s);
}

/// Stripes on 4 ranks: the first query of a rank sees no key of a later rank's stripe, so that a merge covers 1,023 of
/// 1,024 tokens, a part of the sum. Every query of rank 3 sees keys of all other ranks.
TEST(Framework, AStripeIsMergedButForOneToken) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Problem p = problem(4096, 4, Mask::kCausal, pass, Partition::kStriped);
    const Schedule s = ring_of_four(p);
    GpuProfile gpu = measured();
    const std::vector<double> seconds = CostModel(gpu, p).times(s).seconds;
    gpu.framework.part_bytes = 8;
    const std::vector<double> with = CostModel(gpu, p).times(s).seconds;
    double more[4] = {};
    for (Rank r : {0, 3})
      for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) more[r] += with[op] - seconds[op];
    const double elements = 32.0 * 129;  // per token: O and its log-sum-exp; gradients are summed in place
    EXPECT_NEAR(more[0], pass == Pass::kForward ? 3 * 8 * 1023 * elements / 1e12 : 0, 1e-14) << name_of(pass);
    EXPECT_NEAR(more[3], 0, 1e-14) << name_of(pass);
  }
}

/// The two chunks of a Ulysses slot are rows of one sum: merged together they are the whole sum, not a part.
TEST(Framework, RowsOfOneSumAreMergedTogether) {
  const Problem p = problem(8192, 8);
  const Cluster cluster = read_cluster("ideal-8x50", kTopologies);
  const Schedule s =
      plan_phase(configure("usp", p, {.ulysses = 2}, 8), Network(cluster, 8), CostModel(cluster.gpu, p)).schedule;
  GpuProfile gpu = measured();
  const std::vector<double> seconds = CostModel(gpu, p).times(s).seconds;
  gpu.framework.part_bytes = 1e6;
  EXPECT_EQ(CostModel(gpu, p).times(s).seconds, seconds);
}

/// Ulysses on 4 ranks: the Q (32 heads) and KV (8 heads) of a rank's 1,024 tokens, 256 bytes per head, are copied
/// before the exchange and as much after it; of O with its log-sum-exp, the three quarters that come back. All is read
/// and written. With 2 kv-heads both are copied before, and after it the one that a rank keeps and one of each other
/// rank. A ring exchanges nothing by heads, nor does Ulysses that sends one slice of heads after the other.
TEST(Framework, WhatIsExchangedByHeadsIsCopied) {
  constexpr double kHead = 1024.0 * 256, kOutputs = 2 * 32.0 * 3 / 4 * 1024 * (256 + 4);
  struct Case {
    const char* algorithm;
    Options options;
    int kv_heads;
    double bytes;
  };
  for (const Case& c : {Case{"ulysses", {}, 8, 4 * (32 + 2 * 8) * kHead + kOutputs},
                        {"ulysses", {}, 2, (4 * 32 + 2 * 2 * (2 + 1 + 3)) * kHead + kOutputs},
                        {"ring", {}, 8, 0},
                        {"ring", {.slices = 2}, 8, 0}}) {
    Problem p = problem(4096, 4);
    p.shape.kv_heads = c.kv_heads;
    const Cluster cluster = read_cluster("ideal-8x50", kTopologies);
    const Schedule s =
        plan_phase(configure(c.algorithm, p, c.options, 4), Network(cluster, 4), CostModel(cluster.gpu, p)).schedule;
    GpuProfile gpu = measured();
    const std::vector<double> seconds = CostModel(gpu, p).times(s).seconds;
    for (auto [layout, rate] : {std::pair{0.5e12, 0.5e12}, {5e12, 1e12}}) {  // not faster than merging
      gpu.framework.layout_bytes_per_s = layout;
      const std::vector<double> with = CostModel(gpu, p).times(s).seconds;
      for (Rank rank = 0; rank < 4; ++rank) {
        double more_s = 0;
        for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) more_s += with[op] - seconds[op];
        EXPECT_NEAR(more_s, c.bytes / rate, 1e-12) << c.algorithm << ", " << c.kv_heads << " kv-heads, rank " << rank;
      }
    }
  }
}

}  // namespace
}  // namespace meshattn
