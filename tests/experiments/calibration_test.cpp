#include "experiments/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "core/cluster_file.h"
#include "core/cost.h"
#include "core/estimate.h"
#include "core/leave_one_out.h"
#include "core/network.h"
#include "experiments/probes.h"
#include "tests/support/program.h"

namespace meshattn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;

/// What was run, of each rank.
struct Asked {
  std::int64_t queries = 0, keys = 0;
  int ranks = 0, cuts = 0, attends = 0, exchanges = 0, whole = 0;  ///< whole: transfers of all of a chunk

  friend auto operator<=>(const Asked&, const Asked&) = default;
};

Asked asked_of(const Schedule& s) {
  const Problem& p = s.problem;
  Asked asked{p.shape.seq_q / p.ranks, p.shape.seq_kv / p.ranks, p.ranks, p.cuts, 0, 0, 0};
  for (OpId op = s.ops_begin(0); op < s.ops_end(0); ++op) {
    asked.attends += std::holds_alternative<Attend>(s.ops[op]) || std::holds_alternative<AttendBackward>(s.ops[op]);
    asked.exchanges += std::holds_alternative<Exchange>(s.ops[op]);
  }
  for (const Transfer& t : s.transfers)
    asked.whole += static_cast<int>(s.regions[s.values[t.made].region].cells.size()) == p.cuts;
  return asked;
}

/// A box that does what a cluster says, by the estimate; events and issuing cost it time besides, and a rank's first op
/// is slow. With NCCL, links and what they take are in proportion to thread blocks. `starved`: attention leaves
/// messages no room, so that they come after it.
struct Box {
  Cluster cluster;
  double event_s = 0, issue_s = 0, first_s = 0;
  bool starved = false;
  std::set<Asked>* asked = nullptr;

  gpu::RunResult operator()(const Schedule& s, const gpu::RunOptions& options) const {
    if (asked != nullptr) asked->insert(asked_of(s));
    Cluster c = cluster;
    if (options.transport == gpu::Transport::kNccl) {
      c.node.link_bytes_per_s *= options.most_ctas;
      c.node.link_sms = options.most_ctas;
      c.node.link_compute_efficiency = 1;
    }
    const double lost_s = options.timed ? event_s : 0;
    std::vector<double> seconds = CostModel(c.gpu, s.problem).seconds(s);
    for (OpId op = 0; op < s.ops.size(); ++op)
      if (!std::holds_alternative<Exchange>(s.ops[op]))
        seconds[op] += lost_s + (op == s.ops_begin(s.rank_of(op)) ? first_s : 0);
    gpu::RunResult result;
    result.trace = estimate(s, Network(c, s.problem.ranks), seconds);
    if (starved) delay_messages(s, result.trace);
    result.makespans_s = result.host_s = {result.trace.makespan_s};
    result.issue_s = {issue_s * static_cast<double>(s.ops.size())};
    for (OpId op = 0; op < s.ops.size(); ++op)  // a kernel's start is part of its op for the estimate
      if (!std::holds_alternative<Exchange>(s.ops[op])) result.trace.start_s[op] += c.gpu.launch_s + lost_s;
    if (!options.timed) result.trace = {};
    return result;
  }

  static void delay_messages(const Schedule& s, Trace& trace) {
    double attended_s = 0;
    for (OpId op = 0; op < s.ops.size(); ++op)
      if (!std::holds_alternative<Exchange>(s.ops[op])) attended_s = std::max(attended_s, trace.end_s[op]);
    bool first = true;  // begins in time, and ends late
    for (OpId op = 0; op < s.ops.size(); ++op)
      if (std::holds_alternative<Exchange>(s.ops[op])) {
        if (!std::exchange(first, false)) trace.start_s[op] += attended_s;
        trace.end_s[op] += attended_s;
      }
  }
};

/// What is measured on a box that does as a cluster says, and written, is that cluster.
class CalibrationOfABox : public Cli {
 protected:
  CalibrationOfABox() {
    Cluster& c = box_.cluster;
    c.gpu.sms = 8;
    c.gpu.memory_bytes = 77e9;
    c.gpu.combine_bytes_per_s = 1234e9;
    c.gpu.accumulate_bytes_per_s = 987e9;
    c.gpu.launch_s = 4.5e-6;
    c.gpu.tails = {{Pass::kForward, 0.75}, {Pass::kBackward, 1.5}};
    for (std::int64_t tokens : {256, 512, 1024, 2048})
      for (auto [pass, mask, tflops] : {std::tuple{Pass::kForward, KernelMask::kFull, 20},
                                        {Pass::kForward, KernelMask::kCausal, 15},
                                        {Pass::kBackward, KernelMask::kFull, 12},
                                        {Pass::kBackward, KernelMask::kCausal, 9}})
        c.gpu.attention.push_back({pass, mask, Dtype::kBf16, tokens, tokens, 8, 2, 32, 1,
                                   1e12 * tflops * (1 - 50.0 / static_cast<double>(tokens)), ""});
    c.node.gpus = 6;
    c.node.link_bytes_per_s = 300e9;
    c.node.link_startup_s = 2e-6;
    c.node.link_startups = {{1e6, 5e-6}};
    c.node.link_busy_efficiency = 0.8;
    c.node.link_compute_efficiency = 0.7;
    box_.event_s = 0.3e-6;
    box_.issue_s = 6e-6;
    box_.first_s = 40e-6;
    request_.ranks = 6;
    request_.devices = {"a box", 6, c.gpu.sms, c.gpu.memory_bytes};
    request_.options.ranks_per_device = 1;
    request_.shape = {0, 0, 1, 8, 2, 32, Dtype::kBf16};
    request_.lengths = {256, 512, 1024, 2048};
    request_.message_tokens = {4, 512, 8192, 16384};  // a token: K and V of 2 heads of 32 in bf16, 256 bytes
    request_.ctas = {0};
    request_.source = "measured: nothing, today, median of 1";
  }

  Calibration measured() {
    return calibrate(request_, box_, [](const std::string&) {});
  }
  Cluster written(const Calibration& measured, int ctas = 0) {
    fs::create_directories(folder_ / "gpus");
    fs::create_directories(folder_ / "clusters");
    std::ofstream(folder_ / "gpus/box-gpu.ini") << profile_text(request_, measured);
    std::ofstream(folder_ / "clusters/box.ini") << cluster_text(request_, measured, ctas, "box-gpu");
    return read_cluster("box", folder_.string());
  }

  Box box_;
  CalibrationRequest request_;
};

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
  EXPECT_NEAR(c.node.link_compute_efficiency, 0.7, 0.005);
  EXPECT_NEAR(c.node.link_bytes_per_s, 300e9, 300e9 * kDigits);
  EXPECT_NEAR(c.node.link_busy_efficiency, 0.8, 0.8 * kDigits);
  const Network network(c, 6), as_it_is(box_.cluster, 6);
  for (double bytes : {4 * 256.0, 512 * 256.0, 8192 * 256.0, 16384 * 256.0}) {
    const auto seconds = [&](const Network& n, const Node& node) {
      return n.startup_s(n.route(0, 1), bytes) + bytes / node.link_bytes_per_s;
    };
    EXPECT_NEAR(seconds(network, c.node), seconds(as_it_is, box_.cluster.node), 1e-9) << bytes;
  }
}

/// Rectangles have a quarter of a length's queries, and all keys, or all queries and a quarter of its keys. Small
/// messages come behind as many large ones. Beside messages there are 16 waves of tiles: 2,048 / 128 of 8 heads, on 8
/// SMs.
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
    if (a.attends > 0 && a.exchanges > 0) beside.insert(a.queries);
  EXPECT_EQ(beside, std::set<std::int64_t>{2048});
}

/// Four attends take 4 (1.76 ms + 4.5 us), while as many messages come as would take 1.5 times that: all of them
/// overlap but for what messages take from it.
TEST_F(CalibrationOfABox, MessagesComeWhileAllAttend) {
  const Calibration free = measured();
  EXPECT_GT(free.links.at(0).messages_beside, kInARow / 2);
  EXPECT_NEAR(free.links.at(0).busy_wait_s, 0, 1e-9);
  EXPECT_GT(free.links.at(0).overlap, 0.5);
  EXPECT_THAT(cluster_text(request_, free, 0, "g"), testing::Not(HasSubstr("In doubt")));
  box_.starved = true;
  const Calibration starved = measured();
  EXPECT_EQ(starved.links.at(0).messages_beside, 0);
  EXPECT_THAT(cluster_text(request_, starved, 0, "g"), HasSubstr("In doubt: busy_efficiency. Of 9 messages 0 came"));
}

/// Messages that are ten times as slow beside attention, and attention that runs at 0.15 while bytes flow: what is
/// measured goes on for long enough.
TEST_F(CalibrationOfABox, MayTakeMuchFromEachOther) {
  for (auto [busy, compute] : {std::pair{0.1, 0.7}, {1.0, 0.15}}) {
    box_.cluster.node.link_busy_efficiency = busy;
    box_.cluster.node.link_compute_efficiency = compute;
    const Cluster c = written(measured());
    EXPECT_NEAR(c.node.link_busy_efficiency, busy, busy * kDigits);
    EXPECT_NEAR(c.node.link_compute_efficiency, compute, 0.015);  // a slow first op is in what is left to measure
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
    if (a.ranks == 6) most = std::max(most, a.attends);
  EXPECT_EQ(most, 20);
}

/// GPUs that share something on their way: 500 GB/s for six ports of 300. On a CPU that passes less the more pairs
/// there are, each to each is slower than round a ring.
TEST_F(CalibrationOfABox, GivesWhatGpusShare) {
  box_.cluster.node.shared_bytes_per_s = 500e9;
  const Calibration m = measured();
  EXPECT_NEAR(written(m).node.shared_bytes_per_s, 500e9, 500e9 * kDigits);
  EXPECT_NEAR(m.links.at(0).each_to_each_bytes_per_s, 500e9, 5e9);
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
  box_.cluster.node.link_startups = {};  // then the two largest messages tell the bandwidth
  request_.options.ranks_per_device = 6;
  const Calibration m = measured();
  const Cluster c = written(m);
  EXPECT_NEAR(c.node.processors, 1.25, 1.25 * kDigits);
  EXPECT_NEAR(c.node.link_bytes_per_s, 300e9, 300e9 * kDigits);
  EXPECT_NEAR(c.node.link_startup_s, 2e-6, 1e-9);
  EXPECT_NEAR(c.node.shared_bytes_per_s, 500e9, 500e9 * kDigits);
  EXPECT_NEAR(c.node.link_busy_efficiency, 0.8, 0.8 * kDigits);
  EXPECT_NEAR(m.links.at(0).both_ways, 250.0 / 300, kDigits);  // two messages, of 500 GB/s in all
}

/// A cluster for each number of CTAs: 30 GB/s and an SM for each of them.
TEST_F(CalibrationOfABox, GivesLinksForEachNumberOfCtas) {
  box_.cluster.node.link_bytes_per_s = 30e9;
  box_.cluster.node.link_startups = {};
  request_.options.transport = gpu::Transport::kNccl;
  request_.options.most_ctas = 2;
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
  m.attention_spread = 0.03;
  m.processors_spread = 0.1;
  m.links.at(0).spread = 0.05;
  m.links.at(0).shared_bytes_per_s = 200e9;
  m.links.at(0).shared_spread = 0.2;
  const Cluster c = written(m);
  EXPECT_NEAR(c.figures.at("gpu.attention_scale").spread, 0.03, 1e-9);
  EXPECT_NEAR(c.figures.at("node.processors").spread, 0.1 * c.node.processors, 1e-9);
  EXPECT_NEAR(c.figures.at("node.shared_GBps").spread, 40, 1e-9);
  EXPECT_NEAR(c.figures.at("link.bandwidth_GBps").spread, 15, 0.01);  // of 300
  EXPECT_EQ(c.figures.at("link.busy_efficiency").spread, 0);
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

/// On threads of this CPU: numbers of everything, each above zero; the cluster serves plan, simulate and validate.
TEST_F(Cli, CalibrateWritesAClusterOfThisMachine) {
  const fs::path clusters =
      folder_ / "t/clusters";  // what an earlier calibration of this name left, and what it did not
  fs::create_directories(clusters);
  std::ofstream(clusters / "here-ctas-2.ini") << "# By meshattn calibrate: a box.\n\n[cluster]\ngpu = here-gpu\n";
  std::ofstream(clusters / "here-ctas-4.ini")
      << "# By meshattn calibrate: a box.\n\n[cluster]\ngpu = here-ctas-4-gpu\n";
  std::ofstream(clusters / "here-ctas-8.ini") << "# By hand.\n\n[cluster]\ngpu = here-gpu\n";
  const ProgramRun run = meshattn(
      "calibrate --device cpu --name here --out t --heads 2 --head-dim 8 --lengths 16,32,64 --message-tokens 4,64 "
      "--repeats 3 --ranks-per-gpu 4");
  ASSERT_EQ(run.status, 0) << run.err;
  for (const char* what : {"measured: ", "a test of the method", "forward full", "backward causal", "left out in turn",
                           "four times as many keys", "merging: ", "summing gradients: ", "timing an op: ",
                           "issuing an op: ", "copies", "all at once", "--cluster here"})
    EXPECT_THAT(run.out, HasSubstr(what));
  EXPECT_FALSE(fs::exists(clusters / "here-ctas-2.ini"));
  EXPECT_TRUE(fs::exists(clusters / "here-ctas-4.ini") && fs::exists(clusters / "here-ctas-8.ini"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "t"), {}), 2);  // clusters, gpus
  const Cluster c = read_cluster("here", (folder_ / "t").string());
  EXPECT_EQ(c.gpu.attention.size(), 12u);
  EXPECT_EQ(leave_one_out(c.gpu).size(), 4u);
  EXPECT_EQ(c.node.gpus, 4);
  EXPECT_GE(c.node.processors, 1);
  for (double figure :
       {c.gpu.combine_bytes_per_s, c.gpu.accumulate_bytes_per_s, c.node.link_bytes_per_s, c.node.shared_bytes_per_s})
    EXPECT_GT(figure, 0);

  const std::string options =
      "--topologies t --cluster here --gpus 4 --heads 2 --head-dim 8 --seq 256 --mask causal --tile 2x2 ";
  const json simulated = results("simulate " + options);
  const json both = results("validate --device cpu --repeats 3 " + options).at("forward");
  EXPECT_DOUBLE_EQ(both.at("simulated_s"), simulated.at("makespan_s"));
  EXPECT_DOUBLE_EQ(both.at("error").get<double>(),
                   both.at("simulated_s").get<double>() / both.at("measured_s").get<double>() - 1);
  double measured_s = 0;
  for (const json& step : both.at("path")) measured_s += step.at("measured_s").get<double>();
  EXPECT_NEAR(measured_s, both.at("measured_s"), 1e-12);
  std::size_t ops = 0;
  for (const auto& [kind, of_kind] : both.at("kinds").items()) ops += of_kind.at("ops").get<std::size_t>();
  EXPECT_EQ(ops, simulated.at("ops"));

  const ProgramRun said = meshattn("validate --device cpu --repeats 3 --trace both.json " + options);
  for (const char* what :
       {"forward: measured ", "simulated ", "what the last op had waited for", "deviation from dense"})
    EXPECT_THAT(said.out, HasSubstr(what)) << said.err;
  std::set<std::string> names;
  const json trace = json::parse(content("both.json"));
  for (const json& event : trace.at("traceEvents"))
    if (event.at("name") == "process_name") names.insert(event.at("args").at("name"));
  EXPECT_EQ(names.size(), 8u);  // four ranks, measured and simulated
  EXPECT_TRUE(names.contains("measured: rank 0 (node 0, gpu 0)"));
  EXPECT_TRUE(names.contains("simulated: rank 3 (node 0, gpu 3)"));
}

TEST_F(Cli, CalibrateAndValidateRefuseWhatMakesNoSense) {
  const std::string calibrate = "calibrate --device cpu --name a --out t ";
  std::ofstream(folder_ / "file") << "x";
  expect_refused(
      {{"calibrate --device cpu --name a", "--out is missing"},
       {"calibrate --device cpu --out t", "--name is missing"},
       {calibrate + "--lengths 64,32", "--lengths 64,32: must ascend"},
       {calibrate + "--lengths 64,,128", "--lengths"},
       {calibrate + "--heads 3 --kv-heads 2", "--heads 3 is no multiple of --kv-heads 2"},
       {calibrate + "--ctas 1,2", "--ctas needs --transport nccl"},
       {calibrate + "--transport nccl --ctas 2,1", "--ctas 2,1: must ascend"},
       {calibrate + "--transport nccl --ctas 1,65", "--ctas 65: at most 64"},
       {calibrate + "--transport nccl --ranks-per-gpu 1 --lengths 16", "--transport nccl needs several GPUs"},
       {calibrate + "--message-tokens 5,6", "--message-tokens: 5 is no part of 6"},
       {calibrate + "--message-tokens 1,128K", "or less than 1 of 65536 parts"},
       {calibrate + "--max-ctas 65", "--max-ctas 65: at most 64"},
       {"calibrate --device cpu --name a --out file/t", "--out file/t: "},
       {"calibrate --device cpu --name ../a --out t", "--name '../a': up to 100 letters, digits"},
       {"validate --table x.csv --gpus 4", "--gpus has no place beside --table"},
       {"validate --device cpu --gpus 4", "--model NAME is missing"}});
}

/// Two ranks attend twice each and exchange at the same time, three times: what is asked for is there, with memory.
TEST(Probes, DoWhatTheyAreAskedFor) {
  const std::vector<Pair> pairs{{0, 1}, {1, 0}};
  const Schedule s = schedule_of({.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16},
                                  .attends = 2,
                                  .attending = 2,
                                  .merges = 5,
                                  .pairs = pairs,
                                  .exchanges = 3});
  EXPECT_EQ(s.problem.ranks, 2);
  EXPECT_EQ(s.transfers.size(), 6u);
  EXPECT_EQ(s.bytes(s.transfers.front().made), 64u * 2 * 2 * 8 * 2);  // K and V, 2 heads of 8, 2 bytes each
  EXPECT_GT(s.peak_bytes, 0u);
  std::size_t attends = 0, merges = 0;
  for (const Op& op : s.ops) {
    attends += std::holds_alternative<Attend>(op);
    merges += std::holds_alternative<Combine>(op);
  }
  EXPECT_EQ(attends, 4u);
  EXPECT_EQ(merges, 5u);
  const Schedule pieces = schedule_of(
      {.shape = {16, 64, 1, 4, 2, 8, Dtype::kBf16}, .pairs = pairs, .exchanges = 3, .pieces = 16, .whole = 2});
  EXPECT_EQ(pieces.bytes(pieces.transfers[3].made), 64u * 2 * 2 * 8 * 2);  // the whole of a chunk, twice each way
  EXPECT_EQ(pieces.bytes(pieces.transfers[4].made), 4u * 2 * 2 * 8 * 2);
  EXPECT_EQ(pieces.bytes(pieces.transfers.back().made), 4u * 2 * 2 * 8 * 2);
  EXPECT_EQ(pieces.transfers.size(), 6u);
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Schedule tall =
        schedule_of({.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16}, .pass = pass, .attends = 1, .pieces = 4});
    const double of_all_heads = 64 * 16 * 4;  // pairs of 4 heads: all queries, a quarter of the keys
    GpuProfile gpu;
    gpu.attention_flops_per_s = 1e12;
    EXPECT_NEAR(CostModel(gpu, tall.problem).seconds(tall).back(), flops(of_all_heads, 8, pass) / 1e12, 1e-18);
  }
  const Schedule back = schedule_of(
      {.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16}, .mask = Mask::kCausal, .pass = Pass::kBackward, .attends = 3});
  EXPECT_EQ(back.problem.pass, Pass::kBackward);
  EXPECT_EQ(back.outputs.size(), 6u);  // dQ and dKV of each
  EXPECT_EQ(back.ops.size(), 4u);      // delta, and three
  const Schedule summed =
      schedule_of({.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16}, .pass = Pass::kBackward, .attends = 2, .merges = 1});
  for (ValueId source : summed.sources_of(std::get<Combine>(summed.ops.back())))
    EXPECT_EQ(summed.values[source].tensor, Tensor::kDQ);
}

}  // namespace
}  // namespace meshattn
