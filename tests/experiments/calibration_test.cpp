#include "experiments/measure/calibration/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/calibrated_box.h"

namespace meshattn {
namespace {

using testing::HasSubstr;

/// Relative error: files have six digits, and times in thousandths of a microsecond.
constexpr double kDigits = 1e-5;

TEST_F(CalibrationOfABox, MeasuresKernels) {
  const Calibration m = measured();
  const GpuProfile gpu = written(m).gpu, &expected = box_.cluster.gpu;
  EXPECT_NEAR(gpu.combine_bytes_per_s, 1234e9, 1234e9 * kDigits);
  EXPECT_NEAR(gpu.accumulate_bytes_per_s, 987e9, 987e9 * kDigits);
  EXPECT_NEAR(gpu.launch_s, 4.5e-6, 1e-9);
  EXPECT_EQ(m.rectangle_errors.size(), 8u);  // for 1,024 and 2,048 tokens, whose quarters are at least 256
  EXPECT_LT(m.rectangle_errors.back(), kDigits);
  EXPECT_NEAR(m.event_s, 0.3e-6, 1e-12);
  EXPECT_EQ(m.event_noise_s, 0);
  EXPECT_NEAR(m.issue_s, 6e-6, 1e-12);
  // Full kernels of 2,048 tokens are the first to take 100 us: 4 2,048^2 32 8 / (20e12 (1 - 50 / 2,048)) and a launch.
  EXPECT_NEAR(m.timing_overhead, 0.3 / (220.05 + 4.5), 1e-5);
  EXPECT_EQ(gpu.sms, 8);
  EXPECT_DOUBLE_EQ(gpu.memory_bytes, 77e9);
  for (Pass pass : {Pass::kForward, Pass::kBackward}) EXPECT_NEAR(gpu.tail(pass), expected.tail(pass), 0.005);
  ASSERT_EQ(gpu.attention.size(), expected.attention.size());
  for (const AttentionPoint& p : gpu.attention) {
    const auto same = std::ranges::find_if(expected.attention, [&](const AttentionPoint& q) {
      return p.pass == q.pass && p.mask == q.mask && p.q_tokens == q.q_tokens && p.kv_tokens == q.kv_tokens;
    });
    ASSERT_NE(same, expected.attention.end());
    EXPECT_NEAR(p.flops_per_s, same->flops_per_s, same->flops_per_s * kDigits);
    EXPECT_EQ(std::tuple(p.heads, p.kv_heads, p.head_dim, p.dtype), std::tuple(8, 2, 32, Dtype::kBf16));
  }
}

/// Start-ups are 2 µs, and 5 µs from 1 MB on, so that the two largest messages, 2 and 4 MiB, have the same.
TEST_F(CalibrationOfABox, MeasuresLinks) {
  const Cluster c = written(measured());
  EXPECT_EQ(c.node.gpus, 6);
  EXPECT_EQ(c.node.processors, 0);
  EXPECT_EQ(c.node.shared_bytes_per_s, 0);
  EXPECT_EQ(c.node.link_sms, 0);
  EXPECT_NEAR(c.node.compute_efficiency_during_transfers, 0.7, 0.005);
  EXPECT_NEAR(c.node.link_bytes_per_s, 300e9, 300e9 * kDigits);
  EXPECT_NEAR(c.node.link_efficiency_during_compute, 0.8, 0.8 * kDigits);
  const Network network(c, 6), expected(box_.cluster, 6);
  for (double bytes : {4 * 256.0, 512 * 256.0, 8192 * 256.0, 16384 * 256.0}) {
    const auto seconds = [&](const Network& n, const Node& node) {
      return n.startup_s(n.route(0, 1), bytes) + bytes / node.link_bytes_per_s;
    };
    EXPECT_NEAR(seconds(network, c.node), seconds(expected, box_.cluster.node), 1e-9) << bytes;
  }
}

/// Rectangles have a quarter of the queries and all keys of a length, or the reverse. Small messages come after as many
/// large ones. Attention during messages has 16 waves of thread blocks: 2,048 / 128 of 8 heads, on 8 SMs.
TEST_F(CalibrationOfABox, RunsTheBenchmarksAsDescribed) {
  std::set<RunRecord> records;
  box_.records = &records;
  (void)measured();
  for (const RunRecord& rectangle : {RunRecord{256, 1024, 1, 1, 4, 0, 0},
                                     {1024, 1024, 1, 4, 4, 0, 0},
                                     {512, 2048, 1, 1, 4, 0, 0},
                                     {2048, 2048, 1, 4, 4, 0, 0}})
    EXPECT_TRUE(records.contains(rectangle)) << rectangle.queries << " x " << rectangle.keys;
  for (int pieces : {2, 32, 4096}) EXPECT_TRUE(records.contains({pieces, 16384, 2, pieces, 0, 18, 9})) << pieces;
  std::set<std::int64_t> queries;
  for (const RunRecord& a : records)
    if (a.attention_ops > 0 && a.exchanges > 0) queries.insert(a.queries);
  EXPECT_EQ(queries, std::set<std::int64_t>{2048});
}

/// Four ops of attention take 4 (1.76 ms + 4.5 us), and messages that would take 1.5 times that come meanwhile. All
/// overlap, but slow each other down.
TEST_F(CalibrationOfABox, MessagesOverlapAttention) {
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

/// Messages ten times as slow during attention, and attention at 0.15 of its speed while bytes flow: benchmarks last
/// long enough.
TEST_F(CalibrationOfABox, MessagesAndAttentionMaySlowEachOtherALot) {
  for (auto [busy, compute] : {std::pair{0.1, 0.7}, {1.0, 0.15}}) {
    box_.cluster.node.link_efficiency_during_compute = busy;
    box_.cluster.node.compute_efficiency_during_transfers = compute;
    const Cluster c = written(measured());
    EXPECT_NEAR(c.node.link_efficiency_during_compute, busy, busy * kDigits);
    EXPECT_NEAR(c.node.compute_efficiency_during_transfers, compute,
                0.015);  // the slow first op affects this
  }
}

/// A quarter of the memory holds 20 partials on each of six ranks, of 4 2,048 8 (32 + 1) bytes each.
TEST_F(CalibrationOfABox, FitsInMemory) {
  box_.starved = true;  // then the number of ops grows as far as it can
  std::set<RunRecord> records;
  box_.records = &records;
  request_.devices.memory_bytes = 4.0 * 20 * 6 * 4 * 2048 * 8 * 33;
  (void)measured();
  int most = 0;
  for (const RunRecord& a : records)
    if (a.ranks == 6) most = std::max(most, a.attention_ops);
  EXPECT_EQ(most, 20);
}

/// GPUs that share 500 GB/s for six ports of 300. Through a CPU that is slower the more pairs there are, all-to-all is
/// slower than a ring.
TEST_F(CalibrationOfABox, MeasuresWhatGpusShare) {
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

/// GPUs 0 to 2 and 3 to 5 share a switch each; 9 of the 15 paths go between the switches, at 100 of 300 GB/s.
TEST_F(CalibrationOfABox, MeasuresPaths) {
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

/// Ranks on one device, which together compute 1.25 times as fast as one; all their messages share 500 GB/s.
TEST_F(CalibrationOfABox, MeasuresWhatRanksShare) {
  box_.cluster.node.processors = 1.25;
  box_.cluster.node.shared_bytes_per_s = 500e9;
  box_.cluster.node.link_startups = {};  // then the two largest messages give the bandwidth
  request_.options.ranks_per_device = 6;
  const Calibration m = measured();
  const Cluster c = written(m);
  EXPECT_NEAR(c.node.processors, 1.25, 1.25 * kDigits);
  EXPECT_NEAR(c.node.link_bytes_per_s, 300e9, 300e9 * kDigits);
  EXPECT_NEAR(c.node.link_startup_s, 2e-6, 1e-9);
  EXPECT_NEAR(c.node.shared_bytes_per_s, 500e9, 500e9 * kDigits);
  EXPECT_NEAR(c.node.link_efficiency_during_compute, 0.8, 0.8 * kDigits);
  EXPECT_NEAR(m.links.at(0).both_ways, 250.0 / 300, kDigits);  // two messages share 500 GB/s
}

/// A cluster for each number of CTAs: 30 GB/s and one SM for each CTA.
TEST_F(CalibrationOfABox, MeasuresLinksForEachNumberOfCtas) {
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

/// Uncertainties stand behind the medians, unless they are zero.
TEST_F(CalibrationOfABox, WritesUncertainties) {
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

TEST_F(CalibrationOfABox, OneRankHasNoLinks) {
  request_.ranks = 1;
  EXPECT_EQ(written(measured()).node.gpus, 1);
}

/// A tail of 0.8 waves: a kernel of 2 waves takes 1.4 times as long as without it, one of 16 waves 1.05 times.
TEST(Tails, FollowFromTwoKernels) {
  EXPECT_NEAR(tail_of(1.4 / 1.05, 2, 16).value(), 0.8, 1e-12);
  EXPECT_EQ(tail_of(1, 2, 16), 0);
  EXPECT_EQ(tail_of(0.9, 2, 16), 0);           // faster: no tail
  EXPECT_EQ(tail_of(8, 2, 16), std::nullopt);  // more than any tail explains
}

}  // namespace
}  // namespace meshattn
