#include "core/report/summary.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "core/report/json.h"
#include "core/report/summary_keys.h"
#include "tests/core/report/ring_of_two.h"

namespace meshattn {
namespace {

using testing::kTrace;
using testing::ring_of_two;
using testing::summary_of;
using testing::tiny_problem;
using testing::trace_of;
using testing::two_gpus;

TEST(Summary, FollowsItsDefinitions) {
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

/// On one processor all four blocks of 4 s run one after another.
TEST(Summary, BoundsOfSharedProcessors) {
  Cluster cluster = two_gpus();
  cluster.node.processors = 1;
  const Schedule schedule = ring_of_two();
  const CostModel cost(cluster.gpu, schedule.problem);
  const Summary s = summarise(schedule, Network(cluster, 2), cost, cost.times(schedule), kTrace, {1, 2, 3});
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

/// Every key of --json but range_s, which is derived, is in the table, and the other way round.
TEST(SummaryKeys, AreTheKeysOfJson) {
  const auto json = nlohmann::json::parse(to_text(summary_of(ring_of_two(), kTrace)));
  std::set<std::string> written, listed{"range_s"};
  for (const auto& [key, value] : json.items()) {
    if (!value.is_object()) written.insert(key);
    for (const auto& [inner, ignored] : value.items())
      if (value.is_object()) written.insert(key + "." + inner);
  }
  for_each_key([&](std::string_view key, Total, auto...) { listed.emplace(key); });
  EXPECT_EQ(written, listed);
}

TEST(SummaryJson, ComesBackWithoutLoss) {
  Summary s = summary_of(ring_of_two(), kTrace);
  s.makespan_s = 0.1 + 0.2;  // needs all 17 digits
  s.peak_bytes = (std::uint64_t{1} << 53) + 1;
  const Summary back = read_summary(to_text(s));
  EXPECT_EQ(back.makespan_s, s.makespan_s);
  EXPECT_EQ(back.peak_bytes, s.peak_bytes);
  EXPECT_EQ(to_text(back), to_text(s));
}

TEST(SummaryJson, TwoPassesHaveTheirOwnKeysAndTheSumsOnTop) {
  const Summary s = summary_of(ring_of_two(), kTrace);
  Request request{.problem = tiny_problem(), .passes = {Pass::kForward, Pass::kBackward}};
  request.origin = {"1", "simulate"};
  Result result{"ring", "1x2"};
  for (Pass pass : request.passes) {
    result.plan.phases.push_back({.configuration = {.problem = tiny_problem(), .form = {.tile = {1, 2}}}});
    result.plan.phases.back().configuration.problem.pass = pass;
    result.summaries.push_back(s);
  }
  std::ostringstream out;
  write_json(out, request, result);
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json.at("makespan_s"), 16);
  EXPECT_EQ(json.at("forward").at("makespan_s"), 8);
  EXPECT_EQ(json.at("backward").at("makespan_s"), 8);
  EXPECT_EQ(json.at("pass"), "both");
  EXPECT_EQ(json.at("tile"), "1x2");
}

}  // namespace
}  // namespace meshattn
