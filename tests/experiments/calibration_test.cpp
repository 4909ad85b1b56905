#include "experiments/measure/calibration/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/calibrated_box.h"

namespace meshattn {
namespace {

using testing::HasSubstr;

/// Relative; files have six digits, and thousandths of a microsecond.
constexpr double kDigits = 1e-5;

TEST_F(CalibrationOfABox, GivesItsKernels) {
  const Calibration m = measured();
  const GpuProfile gpu = written(m).gpu, &as_it_is = box_.cluster.gpu;
  EXPECT_NEAR(gpu.combine_bytes_per_s, 1234e9, 1234e9 * kDigits);
  EXPECT_NEAR(gpu.accumulate_bytes_per_s, 987e9, 987e9 * kDigits);
  EXPECT_NEAR(gpu.launch_s, 4.5e-6, 1e-9);
  EXPECT_EQ(m.rectangle_errors.size(), 8u);  // of 1,024 and 2,048 tokens, whose quarters are not below 256
  EXPECT_LT(m.rectangle_errors.back(), kDigits);
  EXPECT_NEAR(m.event_s, 0.3e-6, 1e-12);
  EXPECT_EQ(m.event_noise_s, 0);
  EXPECT_NEAR(m.issue_s, 6e-6, 1e-12);
  // Of 2,048 tokens the kernels, full, first take 100 us: 4 2,048^2 32 8 / (20e12 (1 - 50 / 2,048)), and a launch.
  EXPECT_NEAR(m.timing_overhead, 0.3 / (220.05 + 4.5), 1e-5);
  EXPECT_EQ(gpu.sms, 8);
  EXPECT_DOUBLE_EQ(gpu.memory_bytes, 77e9);
  for (Pass pass : {Pass::kForward, Pass::kBackward}) EXPECT_NEAR(gpu.tail(pass), as_it_is.tail(pass), 0.005);
  ASSERT_EQ(gpu.attention.size(), as_it_is.attention.size());
  for (const AttentionPoint& p : gpu.attention) {
    const auto same = std::ranges::find_if(as_it_is.attention, [&](const AttentionPoint& q) {
      return p.pass == q.pass && p.mask == q.mask && p.q_tokens == q.q_tokens && p.kv_tokens == q.kv_tokens;
    });
    ASSERT_NE(same, as_it_is.attention.end());
    EXPECT_NEAR(p.flops_per_s, same->flops_per_s, same->flops_per_s * kDigits);
    EXPECT_EQ(std::tuple(p.heads, p.kv_heads, p.head_dim, p.dtype), std::tuple(8, 2, 32, Dtype::kBf16));
  }
}

/// Start-ups of 2 µs up to 5 of 1 MB and more: of the two largest messages, 2 and 4 MiB, the same.
TEST_F(CalibrationOfABox, GivesItsLinks) {
  const Cluster c = written(measured());
  EXPECT_EQ(c.node.gpus, 6);
  EXPECT_EQ(c.node.processors, 0);
  EXPECT_EQ(c.node.shared_bytes_per_s, 0);
  EXPECT_EQ(c.node.link_sms, 0);
  EXPECT_NEAR(c.node.compute_efficiency_during_transfers, 0.7, 0.005);
  EXPECT_NEAR(c.node.link_bytes_per_s, 300e9, 300e9 * kDigits);
  EXPECT_NEAR(c.node.link_efficiency_during_compute, 0.8, 0.8 * kDigits);
  const Network network(c, 6), as_it_is(box_.cluster, 6);
  for (double bytes : {4 * 256.0, 512 * 256.0, 8192 * 256.0, 16384 * 256.0}) {
    const auto seconds = [&](const Network& n, const Node& node) {
      return n.startup_s(n.route(0, 1), bytes) + bytes / node.link_bytes_per_s;
    };
    EXPECT_NEAR(seconds(network, c.node), seconds(as_it_is, box_.cluster.node), 1e-9) << bytes;
  }
}

/// Rectangles have a quarter of a length's queries, and all keys, or all queries and a quarter of its keys. Small
/// messages come behind as many large ones. OverlapBenchmark messages there are 16 waves of tiles: 2,048 / 128 of 8
/// heads, on 8 SMs.
TEST_F(CalibrationOfABox, RunsWhatItSays) {
  std::set<Asked> asked;
  box_.asked = &asked;
  (void)measured();
  for (const Asked& rectangle : {Asked{256, 1024, 1, 1, 4, 0, 0},
                                 {1024, 1024, 1, 4, 4, 0, 0},
                                 {512, 2048, 1, 1, 4, 0, 0},
                                 {2048, 2048, 1, 4, 4, 0, 0}})
    EXPECT_TRUE(asked.contains(rectangle)) << rectangle.queries << " x " << rectangle.keys;
  for (int pieces : {2, 32, 4096}) EXPECT_TRUE(asked.contains({pieces, 16384, 2, pieces, 0, 18, 9})) << pieces;
  std::set<std::int64_t> beside;
  for (const Asked& a : asked)
    if (a.attention_ops > 0 && a.exchanges > 0) beside.insert(a.queries);
  EXPECT_EQ(beside, std::set<std::int64_t>{2048});
}

/// Four ops of attention take 4 (1.76 ms + 4.5 us), while as many messages come as would take 1.5 times that: all of
/// them overlap but for what messages take from it.
TEST_F(CalibrationOfABox, MessagesComeWhileAllAttend) {
  const Calibration free = measured();
  EXPECT_GT(free.links.at(0).overlapped_messages, kRepetitions / 2);
  EXPECT_NEAR(free.links.at(0).overlap_delay_s, 0, 1e-9);
  EXPECT_GT(free.links.at(0).overlap, 0.5);
  EXPECT_THAT(cluster_text(request_, free, 0, "g"), testing::Not(HasSubstr("In doubt")));
  box_.starved = true;
  const Calibration starved = measured();
  EXPECT_EQ(starved.links.at(0).overlapped_messages, 0);
  EXPECT_THAT(cluster_text(request_, starved, 0, "g"), HasSubstr("In doubt: busy_efficiency. Of 9 messages 0 came"));
}

/// Messages that are ten times as slow beside attention, and attention that runs at 0.15 while bytes flow: what is
/// measured goes on for long enough.
TEST_F(CalibrationOfABox, MayTakeMuchFromEachOther) {
  for (auto [busy, compute] : {std::pair{0.1, 0.7}, {1.0, 0.15}}) {
    box_.cluster.node.link_efficiency_during_compute = busy;
    box_.cluster.node.compute_efficiency_during_transfers = compute;
    const Cluster c = written(measured());
    EXPECT_NEAR(c.node.link_efficiency_during_compute, busy, busy * kDigits);
    EXPECT_NEAR(c.node.compute_efficiency_during_transfers, compute,
                0.015);  // a slow first op is in what is left to measure
  }
}

/// A quarter of its memory is 20 sums on each of six ranks: 4 2,048 8 (32 + 1) bytes each.
TEST_F(CalibrationOfABox, FitsInItsMemory) {
  box_.starved = true;  // so that there are as many as can be
  std::set<Asked> asked;
  box_.asked = &asked;
  request_.devices.memory_bytes = 4.0 * 20 * 6 * 4 * 2048 * 8 * 33;
  (void)measured();
  int most = 0;
  for (const Asked& a : asked)
    if (a.ranks == 6) most = std::max(most, a.attention_ops);
  EXPECT_EQ(most, 20);
}

/// GPUs that share something on their way: 500 GB/s for six ports of 300. On a CPU that passes less the more pairs
/// there are, each to each is slower than round a ring.
TEST_F(CalibrationOfABox, GivesWhatGpusShare) {
  box_.cluster.node.shared_bytes_per_s = 500e9;
  const Calibration m = measured();
  EXPECT_NEAR(written(m).node.shared_bytes_per_s, 500e9, 500e9 * kDigits);
  EXPECT_NEAR(m.links.at(0).all_to_all_bytes_per_s, 500e9, 5e9);
  EXPECT_THAT(cluster_text(request_, m, 0, "g"), testing::Not(HasSubstr("each sends to all others")));
  box_.cluster.node.shared_bytes_per_s = 0;
  box_.cluster.node.gpus_per_root = 6;
  box_.cluster.node.root_bytes_per_s = 100e9;
  EXPECT_THAT(cluster_text(request_, measured(), 0, "g"),
              HasSubstr("where each sends to all others, all of them together reach 100"));
}

/// GPUs 0 to 2 and 3 to 5 under a switch each, between which 100 of the 300 GB/s pass: 9 of the 15 paths.
TEST_F(CalibrationOfABox, FindsSlowerPaths) {
  EXPECT_THAT(cluster_text(request_, measured(), 0, "g"), testing::Not(HasSubstr("paths differ")));
  box_.cluster.node.gpus_per_switch = 3;
  box_.cluster.node.switch_bytes_per_s = 100e9;
  const Calibration m = measured();
  const std::vector<PathRate>& paths = m.paths;
  ASSERT_EQ(paths.size(), 15u);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const bool across = (paths[i].from < 3) != (paths[i].to < 3);
    EXPECT_EQ(across, i < 9);
    EXPECT_NEAR(paths[i].bytes_per_s, across ? 100e9 : 300e9, 300e9 * kDigits);
  }
  EXPECT_THAT(cluster_text(request_, m, 0, "g"), HasSubstr("paths differ, from 100 GB/s"));
}

/// Ranks on one device, which does 1.25 times as much at once; all their messages together go at 500 GB/s.
TEST_F(CalibrationOfABox, GivesWhatRanksShare) {
  box_.cluster.node.processors = 1.25;
  box_.cluster.node.shared_bytes_per_s = 500e9;
  box_.cluster.node.link_startups = {};  // then the two largest messages report_progress the bandwidth
  request_.options.ranks_per_device = 6;
  const Calibration m = measured();
  const Cluster c = written(m);
  EXPECT_NEAR(c.node.processors, 1.25, 1.25 * kDigits);
  EXPECT_NEAR(c.node.link_bytes_per_s, 300e9, 300e9 * kDigits);
  EXPECT_NEAR(c.node.link_startup_s, 2e-6, 1e-9);
  EXPECT_NEAR(c.node.shared_bytes_per_s, 500e9, 500e9 * kDigits);
  EXPECT_NEAR(c.node.link_efficiency_during_compute, 0.8, 0.8 * kDigits);
  EXPECT_NEAR(m.links.at(0).both_ways, 250.0 / 300, kDigits);  // two messages, of 500 GB/s in all
}

/// A cluster for each number of CTAs: 30 GB/s and an SM for each of them.
TEST_F(CalibrationOfABox, GivesLinksForEachNumberOfCtas) {
  box_.cluster.node.link_bytes_per_s = 30e9;
  box_.cluster.node.link_startups = {};
  request_.options.transport = gpu::Transport::kNccl;
  request_.options.max_ctas = 2;
  request_.ctas = {2, 1, 4};
  const Calibration m = measured();
  for (int ctas : {1, 2, 4}) {
    const Cluster c = written(m, ctas);
    EXPECT_NEAR(c.node.link_bytes_per_s, ctas * 30e9, ctas * 30e9 * kDigits);
    EXPECT_EQ(c.node.link_sms, ctas);
    EXPECT_THAT(cluster_text(request_, m, ctas, "g"), HasSubstr(fmt::format("NCCL with at most {} CTAs", ctas)));
  }
}

/// What times differ stands behind their medians; where they do not, nothing does.
TEST_F(CalibrationOfABox, SpreadsAreWritten) {
  Calibration m = measured();
  EXPECT_THAT(profile_text(request_, m) + cluster_text(request_, m, 0, "g"), testing::Not(HasSubstr(" +- 0.001 ")));
  request_.options.ranks_per_device = 6;
  m.attention_uncertainty = 0.03;
  m.processors_uncertainty = 0.1;
  m.links.at(0).uncertainty = 0.05;
  m.links.at(0).shared_bytes_per_s = 200e9;
  m.links.at(0).shared_uncertainty = 0.2;
  const Cluster c = written(m);
  EXPECT_NEAR(c.figures.at("gpu.attention_scale").uncertainty, 0.03, 1e-9);
  EXPECT_NEAR(c.figures.at("node.processors").uncertainty, 0.1 * c.node.processors, 1e-9);
  EXPECT_NEAR(c.figures.at("node.shared_GBps").uncertainty, 40, 1e-9);
  EXPECT_NEAR(c.figures.at("link.bandwidth_GBps").uncertainty, 15, 0.01);  // of 300
  EXPECT_EQ(c.figures.at("link.busy_efficiency").uncertainty, 0);
  EXPECT_THAT(c.figures.at("link.bandwidth_GBps").source, HasSubstr("measured: nothing, today"));
}

TEST_F(CalibrationOfABox, OfOneRankHasNoLinks) {
  request_.ranks = 1;
  EXPECT_EQ(written(measured()).node.gpus, 1);
}

/// A tail of 0.8 waves: a kernel of 2 waves takes 1.4 times what it would without an end, one of 16 1.05 times.
TEST(Tails, AreFoundFromTwoKernels) {
  EXPECT_NEAR(tail_of(1.4 / 1.05, 2, 16).value(), 0.8, 1e-12);
  EXPECT_EQ(tail_of(1, 2, 16), 0);
  EXPECT_EQ(tail_of(0.9, 2, 16), 0);           // faster: no end
  EXPECT_EQ(tail_of(8, 2, 16), std::nullopt);  // as if all of the time were ends
}

}  // namespace
}  // namespace meshattn
