#include "experiments/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cluster_file.h"
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

/// Numbers that no device would have: each comes back from the files as it was, in its unit.
class CalibrationFiles : public Cli {
 protected:
  CalibrationFiles() {
    request_.options.ranks_per_device = 8;
    request_.ranks = 8;
    request_.devices.sms = 100;
    request_.devices.memory_bytes = 77e9;
    request_.source = "measured: nothing, today, median of 3";
    measured_.points = {{Pass::kForward, KernelMask::kFull, Dtype::kBf16, 64, 64, 8, 2, 32, 1, 1.5e12, ""},
                        {Pass::kForward, KernelMask::kFull, Dtype::kBf16, 128, 128, 8, 2, 32, 1, 2.5e12, ""},
                        {Pass::kBackward, KernelMask::kCausal, Dtype::kFp16, 64, 64, 8, 2, 32, 1, 0.5e9, ""}};
    for (AttentionPoint& p : measured_.points) p.source = request_.source;
    measured_.tails = {{Pass::kBackward, 0.75}};
    measured_.attention_spread = 0.03;
    measured_.combine_bytes_per_s = 1234e9;
    measured_.combine_spread = 0.02;
    measured_.processors = 1.25;
    measured_.launch_s = 4.5e-6;
    measured_.link_bytes_per_s = 345e9;
    measured_.link_spread = 0.05;
    measured_.startups = {{1000, 7e-6}, {1e6, 0}};
    measured_.shared_bytes_per_s = 999e9;
    measured_.attention_slowed = 0.25;  // a fifth of the SMs
  }

  Cluster written() {
    fs::create_directories(folder_ / "gpus");
    fs::create_directories(folder_ / "clusters");
    std::ofstream(folder_ / "gpus/box-gpu.ini") << profile_text(request_, measured_);
    std::ofstream(folder_ / "clusters/box.ini") << cluster_text(request_, measured_, "box-gpu");
    return read_cluster("box", folder_.string());
  }

  CalibrationRequest request_;
  Calibration measured_;
};

TEST_F(CalibrationFiles, AreReadAsTheyWereMeasured) {
  const Cluster c = written();
  EXPECT_EQ(c.node.gpus, 8);
  EXPECT_DOUBLE_EQ(c.node.processors, 1.25);
  EXPECT_DOUBLE_EQ(c.node.link_bytes_per_s, 345e9);
  EXPECT_DOUBLE_EQ(c.node.shared_bytes_per_s, 999e9);
  EXPECT_DOUBLE_EQ(c.node.link_startup_s, 7e-6);
  EXPECT_NEAR(Network(c, 8).startup_s(Network(c, 8).route(0, 1), 1e6), 0, 2e-9);
  EXPECT_EQ(c.node.link_sms, 20);
  EXPECT_DOUBLE_EQ(c.gpu.combine_bytes_per_s, 1234e9);
  EXPECT_DOUBLE_EQ(c.gpu.launch_s, 4.5e-6);
  EXPECT_DOUBLE_EQ(c.gpu.memory_bytes, 77e9);
  EXPECT_EQ(c.gpu.sms, 100);
  EXPECT_EQ(c.gpu.tail(Pass::kBackward), 0.75);
  ASSERT_EQ(c.gpu.attention.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(c.gpu.attention[i].flops_per_s, measured_.points[i].flops_per_s,
                1e-6 * measured_.points[i].flops_per_s);
    EXPECT_EQ(c.gpu.attention[i].pass, measured_.points[i].pass);
    EXPECT_EQ(c.gpu.attention[i].mask, measured_.points[i].mask);
    EXPECT_EQ(c.gpu.attention[i].q_tokens, measured_.points[i].q_tokens);
  }
  EXPECT_NEAR(c.figures.at("gpu.attention_scale").spread, 0.03, 1e-9);
  EXPECT_NEAR(c.figures.at("link.efficiency").spread, 0.05, 1e-9);
  EXPECT_THAT(c.figures.at("link.bandwidth_GBps").source, HasSubstr("measured: nothing, today"));
}

/// A tail of 0.8 waves: a kernel of 2 waves takes 1.4 times what it would without an end, one of 16 1.05 times.
TEST(Tails, AreFoundFromTwoKernels) {
  EXPECT_NEAR(tail_of(1.4 / 1.05, 2, 16).value(), 0.8, 1e-12);
  EXPECT_EQ(tail_of(1, 2, 16), 0);
  EXPECT_EQ(tail_of(0.9, 2, 16), 0);           // faster: no end
  EXPECT_EQ(tail_of(8, 2, 16), std::nullopt);  // as if all of the time were ends
}

/// A box of devices that each have one rank: nothing is shared.
TEST_F(CalibrationFiles, OfSeveralDevicesShareNothing) {
  request_.options.ranks_per_device = 1;
  EXPECT_EQ(written().node.processors, 0);
  EXPECT_EQ(written().node.shared_bytes_per_s, 0);
  request_.ranks = 1;
  EXPECT_EQ(written().node.gpus, 1);
}

/// On threads of this CPU: numbers of everything, each above zero; the cluster serves plan, simulate and validate.
TEST_F(Cli, CalibrateWritesAClusterOfThisMachine) {
  const ProgramRun run = meshattn(
      "calibrate --device cpu --name here --out t --heads 2 --head-dim 8 --lengths 16,32,64 --message-tokens 4,64 "
      "--repeats 3 --ranks-per-gpu 4");
  ASSERT_EQ(run.status, 0) << run.err;
  for (const char* what : {"measured: ", "a test of the method", "forward full", "backward causal", "left out in turn",
                           "merging: ", "messages: at most", "attention beside messages", "--cluster here"})
    EXPECT_THAT(run.out, HasSubstr(what));
  const Cluster c = read_cluster("here", (folder_ / "t").string());
  EXPECT_EQ(c.gpu.attention.size(), 12u);
  EXPECT_EQ(leave_one_out(c.gpu).size(), 4u);
  EXPECT_EQ(c.node.gpus, 4);
  EXPECT_GE(c.node.processors, 1);
  for (double figure : {c.gpu.combine_bytes_per_s, c.node.link_bytes_per_s, c.node.shared_bytes_per_s})
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
  expect_refused({{"calibrate --device cpu --name a", "--out is missing"},
                  {"calibrate --device cpu --out t", "--name is missing"},
                  {calibrate + "--lengths 64,32", "--lengths 64,32: lengths must ascend"},
                  {calibrate + "--lengths 64,,128", "--lengths"},
                  {calibrate + "--heads 3 --kv-heads 2", "--heads 3 is no multiple of --kv-heads 2"},
                  {calibrate + "--transport nccl --ranks-per-gpu 1 --lengths 16", "--device cpu is one process"},
                  {"calibrate --device cpu --name a --out file/t", "--out file/t: "},
                  {"calibrate --device cpu --name ../a --out t", "--name '../a': letters, digits"},
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
  const Schedule back = schedule_of(
      {.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16}, .mask = Mask::kCausal, .pass = Pass::kBackward, .attends = 3});
  EXPECT_EQ(back.problem.pass, Pass::kBackward);
  EXPECT_EQ(back.outputs.size(), 6u);  // dQ and dKV of each
  EXPECT_EQ(back.ops.size(), 4u);      // delta, and three
}

}  // namespace
}  // namespace meshattn
