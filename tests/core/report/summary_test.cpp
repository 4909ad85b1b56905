#include "core/report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "core/base/format.h"
#include "core/report/chrome_trace.h"
#include "core/report/json.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn {
namespace {

using testing::ElementsAre;

/// Two GPUs of one node, 32 bytes/s a port, 64 flop/s.
Cluster two_gpus() {
  Cluster c;
  c.gpu.attention_flops_per_s = 64;
  c.node.gpus = 2;
  c.node.link_bytes_per_s = 32;
  return c;
}

/// 8 tokens, 1 head of 4, bf16, on 2 ranks: a KV chunk is 4 · 2 · 4 · 2 = 64 bytes, a Q chunk 32.
Problem tiny() { return {{8, 8, 1, 1, 1, 4, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2}; }

/// Ring of two: each rank attends its own block, the two swap KV, each attends the other block.
/// Ops: rank 0: 0 attend, 1 exchange, 2 attend; rank 1: 3 attend, 4 exchange, 5 attend.
Schedule ring_of_two() {
  ScheduleBuilder b(tiny());
  ValueId q[2], kv[2], o[2];
  for (Rank r : {0, 1}) {
    q[r] = b.input(r, Tensor::kQ, b.chunk_region(r, Tensor::kQ), Dtype::kBf16);
    kv[r] = b.input(r, Tensor::kKV, b.chunk_region(r, Tensor::kKV), Dtype::kBf16);
    o[r] = b.declare(r, Tensor::kO, b.chunk_region(r, Tensor::kO), Dtype::kFp32);
    b.output(o[r]);
  }
  const TransferId moved[2] = {b.transfer(kv[0], 1, 1), b.transfer(kv[1], 0, 1)};
  for (Rank r : {0, 1}) {
    const std::uint32_t row = b.add_row(AttendRow{q[r], o[r]});
    const std::uint32_t own = b.add_column(kv[r]);
    const std::uint32_t other = b.add_column(b.made(moved[1 - r]));
    b.attend(r, {row, own, 1, 1});
    b.exchange(r, moved);
    b.attend(r, {row, other, 1, 1});
  }
  return b.finish();
}

Trace trace_of(std::vector<std::pair<double, double>> times) {
  Trace t;
  for (const auto& [start, end] : times) {
    t.start_s.push_back(start);
    t.end_s.push_back(end);
    t.makespan_s = std::max(t.makespan_s, end);
  }
  return t;
}

/// Rank 0 computes 0–2 and 5–7, rank 1 0–1 and 6–8; the exchange takes 0–5.
const Trace kTrace = trace_of({{0, 2}, {0, 5}, {5, 7}, {0, 1}, {0, 5}, {6, 8}});

Summary summary_of(const Schedule& s, const Trace& trace) {
  const Cluster cluster = two_gpus();
  return summarise(s, Network(cluster, 2), CostModel(cluster.gpu, s.problem), trace, {1, 2, 3});
}

TEST(Summary, IsWhatItsDefinitionsSay) {
  const Summary s = summary_of(ring_of_two(), kTrace);
  EXPECT_EQ(s.makespan_s, 8);
  EXPECT_EQ(s.compute_s, 4);                 // rank 0: 2 + 2; rank 1: 1 + 2
  EXPECT_DOUBLE_EQ(s.waiting, 1 - 3.5 / 8);  // mean busy (4 + 3) / 2
  EXPECT_DOUBLE_EQ(s.compute_balance, 4 / 3.5);
  EXPECT_DOUBLE_EQ(s.bounds.compute_s, 8);       // 2 blocks of 4 · 16 pairs · 4 = 256 flops at 64 flop/s
  EXPECT_DOUBLE_EQ(s.bounds.busiest_link_s, 2);  // 64 bytes at 32 bytes/s
  EXPECT_DOUBLE_EQ(s.problem_bound_s, 8);        // 4 · 64 pairs · 4 flops / 2 ranks / 64 flop/s
  EXPECT_EQ(s.volume.bytes_received_max, 64u);
  EXPECT_DOUBLE_EQ(s.volume.chunks_received_avg, 2);  // K and V
  EXPECT_EQ(s.volume.inter_node_bytes_avg, 0);
  EXPECT_EQ(s.transfers, 2u);
  EXPECT_EQ(s.ops, 6u);
  EXPECT_EQ(s.wall.verify_s, 2);
}

/// On one processor: all four blocks of 4 s, and all of the arithmetic, one after the other.
TEST(Summary, BoundsKnowThatProcessorsAreShared) {
  Cluster cluster = two_gpus();
  cluster.node.processors = 1;
  const Schedule schedule = ring_of_two();
  const Summary s =
      summarise(schedule, Network(cluster, 2), CostModel(cluster.gpu, schedule.problem), kTrace, {1, 2, 3});
  EXPECT_DOUBLE_EQ(s.bounds.compute_s, 16);
  EXPECT_DOUBLE_EQ(s.problem_bound_s, 16);
}

TEST(Summary, EveryPortCarriesOneChunk) {
  const Summary s = summary_of(ring_of_two(), kTrace);
  ASSERT_EQ(s.links.size(), 4u);
  for (const LinkUse& link : s.links) {
    EXPECT_EQ(link.bytes, 64) << link.name;
    EXPECT_DOUBLE_EQ(link.busy_s, 2);
    EXPECT_DOUBLE_EQ(link.utilisation, 0.25);  // of 8 s
  }
}

TEST(Summary, SaysWhatComputeLanesWaitedFor) {
  // For KV: rank 0 from 2 to 5, rank 1 from 1 to 5. For the other rank to end: rank 0 from 7 to 8. For its own start:
  // rank 1 from 5 to 6.
  const Summary s = summary_of(ring_of_two(), kTrace);
  ASSERT_EQ(s.waits.size(), 3u);
  EXPECT_EQ(s.waits[0].what, "KV");
  EXPECT_DOUBLE_EQ(s.waits[0].seconds, 3.5);
  EXPECT_DOUBLE_EQ(s.waits[0].share, 7.0 / 9);
  EXPECT_EQ(s.waits[1].what, "end");
  EXPECT_DOUBLE_EQ(s.waits[1].seconds, 0.5);
  EXPECT_EQ(s.waits[2].what, "start");
}

TEST(Summary, AWaitForBytesToBeFreeIsToldFromOneForData) {
  // Rank 0's own block needs nothing that arrives, but is told to wait for the exchange: 0 to 5 is for memory.
  Schedule schedule = ring_of_two();
  std::swap(schedule.ops[0], schedule.ops[1]);  // the exchange stands first: a reuse wait points backwards
  schedule.waits = {{1, 0}};
  const Summary s = summary_of(schedule, trace_of({{0, 5}, {5, 7}, {7, 8}, {0, 1}, {0, 5}, {6, 8}}));
  ASSERT_EQ(s.waits.size(), 3u);
  EXPECT_EQ(s.waits[0].what, "memory");
  EXPECT_EQ(s.waits[1].what, "KV");  // rank 1: 1 to 5, and itself to 6
  EXPECT_DOUBLE_EQ(s.waits[0].seconds, 2.5);
  EXPECT_DOUBLE_EQ(s.waits[1].seconds, 2);
}

/// As a device is measured: what was there when the lane was free is not waited for, and nothing that came is waited
/// for any longer.
TEST(Summary, AnOpThatCouldRunAndDoesNotIsWaitedForItself) {
  // Rank 0: its first block from 1, its second, free at 2, for KV until 3 and then itself until 5. Rank 1: KV was there
  // at 3, before its first block ended at 4; 4 to 6 is its own.
  const Summary s = summary_of(ring_of_two(), trace_of({{1, 2}, {0, 3}, {5, 8}, {0, 4}, {0, 3}, {6, 8}}));
  ASSERT_EQ(s.waits.size(), 2u);
  EXPECT_EQ(s.waits[0].what, "start");
  EXPECT_DOUBLE_EQ(s.waits[0].seconds, (1 + 2 + 2) / 2.0);
  EXPECT_EQ(s.waits[1].what, "KV");
  EXPECT_DOUBLE_EQ(s.waits[1].seconds, 1 / 2.0);
}

/// What a host of 10 s an op is late with is no compute: of 0 to 20 s the two kernels' own times are.
TEST(Summary, WhatAHostIsLateWithIsNoCompute) {
  Cluster c = two_gpus();
  c.gpu.framework.host_s = 10;
  const Schedule schedule = ring_of_two();
  const CostModel cost(c.gpu, schedule.problem);
  const Trace trace = trace_of({{0, 10}, {0, 2}, {10, 20}, {0, 10}, {0, 2}, {10, 20}});
  const Summary s = summarise(schedule, Network(c, 2), cost, trace, {});
  const std::vector<double> seconds = cost.times(schedule).seconds;
  EXPECT_DOUBLE_EQ(s.compute_s, seconds[0] + seconds[2]);
  EXPECT_NEAR(s.waiting, 1 - s.compute_s / 20, 1e-12);
  ASSERT_EQ(s.waits.size(), 1u);
  EXPECT_EQ(s.waits[0].what, "start");
  EXPECT_NEAR(s.waits[0].seconds, 20 - s.compute_s, 1e-12);
}

TEST(Summary, IdleTimeIsAllAccountedFor) {
  for (double late : {0.0, 0.5, 3.0}) {
    const Summary s =
        summary_of(ring_of_two(), trace_of({{late, 2 + late}, {0, 5}, {6, 7 + late}, {0, 1}, {0, 5}, {6, 8}}));
    double waited = 0, share = 0;
    for (const Wait& w : s.waits) waited += w.seconds, share += w.share;
    EXPECT_NEAR(waited, s.waiting * s.makespan_s, 1e-12);
    EXPECT_NEAR(share, 1, 1e-12);
  }
}

TEST(Summary, OneAfterTheOtherAddsTimesAndKeepsMeans) {
  const Summary a = summary_of(ring_of_two(), kTrace);
  const Summary b = summary_of(ring_of_two(), trace_of({{0, 2}, {0, 3}, {3, 5}, {0, 1}, {0, 3}, {3, 4}}));
  const Summary both = one_after_other(a, b);
  EXPECT_DOUBLE_EQ(both.makespan_s, 13);
  EXPECT_DOUBLE_EQ(both.waiting, 1 - (3.5 + 3) / 13);  // mean busy 3.5, then (4 + 2) / 2
  EXPECT_DOUBLE_EQ(both.bounds.busiest_link_s, 4);
  EXPECT_EQ(both.bounds.busiest_link, a.bounds.busiest_link);
  Summary other = b;
  other.bounds.busiest_link = "another";
  EXPECT_EQ(one_after_other(a, other).bounds.busiest_link, a.bounds.busiest_link + ", then another");
  EXPECT_EQ(both.transfers, 4u);
  EXPECT_EQ(both.volume.bytes_received_avg, 128);
  ASSERT_EQ(both.links.size(), 4u);
  for (const LinkUse& link : both.links) {
    EXPECT_EQ(link.bytes, 128);
    EXPECT_DOUBLE_EQ(link.utilisation, 4.0 / 13);
  }
}

TEST(Summary, NamesTheBoundThatIsNear) {
  Summary s;
  s.makespan_s = 10;
  s.bounds = {9, 8, "gpu 0 out"};
  EXPECT_EQ(near_bound(s), "compute");
  s.bounds = {7, 8, "gpu 0 out"};
  EXPECT_EQ(near_bound(s), "gpu 0 out");
  s.bounds = {7, 7.4, "gpu 0 out"};
  EXPECT_EQ(near_bound(s), "latency");
}

TEST(SummaryJson, ComesBackWithoutLoss) {
  Summary s = summary_of(ring_of_two(), kTrace);
  s.makespan_s = 0.1 + 0.2;  // needs all 17 digits
  s.peak_bytes = (std::uint64_t{1} << 53) + 1;
  const Summary back = summary_from(to_text(s));
  EXPECT_EQ(back.makespan_s, s.makespan_s);
  EXPECT_EQ(back.peak_bytes, s.peak_bytes);
  EXPECT_EQ(to_text(back), to_text(s));
}

TEST(SummaryJson, TwoPassesHaveTheirOwnKeysAndTheSumsOnTop) {
  const Summary s = summary_of(ring_of_two(), kTrace);
  const Question question{"1", "simulate", "", "two", tiny(), {Pass::kForward, Pass::kBackward}};
  std::ostringstream out;
  const MeshForm form{.tile = {1, 2}};
  write_json(out, question, Outcome{"ring", "1x2", Partition::kZigzag, {form, form}, {s, s}, {}});
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json.at("makespan_s"), 16);
  EXPECT_EQ(json.at("forward").at("makespan_s"), 8);
  EXPECT_EQ(json.at("backward").at("makespan_s"), 8);
  EXPECT_EQ(json.at("pass"), "both");
  EXPECT_EQ(json.at("tile"), "1x2");
}

TEST(ChromeTrace, HasATrackPerLaneAndAnEventPerOp) {
  const Schedule schedule = ring_of_two();
  const std::vector<Rank> ranks{0, 1};
  std::ostringstream out;
  write_chrome_trace(out, schedule, Network(two_gpus(), 2), kTrace, ranks);
  const auto json = nlohmann::json::parse(out.str());
  std::vector<std::string> names;
  int tracks = 0;
  for (const auto& event : json.at("traceEvents")) {
    if (event.at("name") == "thread_name") ++tracks;
    if (event.at("ph") != "X" || event.at("pid") != 1) continue;
    names.push_back(event.at("name"));
    EXPECT_EQ(event.at("tid"), event.at("args").at("op") == 1 ? 2 : 1);
  }
  EXPECT_EQ(tracks, 4);  // 2 ranks × (compute, communication)
  EXPECT_THAT(names, ElementsAre("attend 1x1 blocks", "exchange KV 64 B to 1 from 1", "attend 1x1 blocks"));
}

TEST(Figures, ChangeTheirUnitWhereRoundingDoes) {
  EXPECT_EQ(time_text(0), "0.000 ms");
  EXPECT_EQ(time_text(0.9994e-3), "999.400 us");
  EXPECT_EQ(time_text(0.99999999e-3), "1.000 ms");
  EXPECT_EQ(time_text(0.99999999), "1.000 s");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(67108864), "67.11 MB");
  EXPECT_EQ(percent_text(-1e-12), "0.0 %");
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1310720), "1,310,720");
}

}  // namespace
}  // namespace meshattn
