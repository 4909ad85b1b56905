#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;
using RunVerb = Cli;

/// `meshattn run` on threads of this machine.
const std::string kProblem =
    "--cluster ideal-8x50 --gpus 4 --heads 4 --kv-heads 2 --head-dim 16 --seq 256 --mask causal --tile 2x2 ";
const std::string kOnCpu = "run --device cpu --repeats 3 " + kProblem;

TEST_F(RunVerb, ChecksEveryTimingAgainstDenseAttention) {
  const ProgramRun run = meshattn(kOnCpu + "--pass both");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.err, "");
  for (const char* what :
       {"attention forward and backward: 256 tokens", "mesh 2x2\n",
        "CPU threads (no GPU: a test of the method): 4 ranks", "forward\nmeasured ", "backward\nmeasured ",
        "median of 3: ", "estimated ", "deviation from dense attention: O ", "deviation from dense attention: dQ "})
    EXPECT_THAT(run.out, HasSubstr(what));
}

/// The keys of `simulate` and those of a run. bf16 keeps 8 bits: values are off by at most 2^-9 of themselves,
/// and by about half of that on average.
TEST_F(RunVerb, JsonHasTheKeysOfSimulateAndMore) {
  const json simulated = results("simulate " + kProblem + "--pass both"), run = results(kOnCpu + "--pass both");
  for (const auto& [key, value] : simulated.items()) EXPECT_TRUE(run.contains(key)) << key;
  EXPECT_EQ(run.at("problem"), simulated.at("problem"));
  for (const char* same : {"transfers", "ops", "peak_bytes"}) EXPECT_EQ(run.at(same), simulated.at(same));
  EXPECT_EQ(run.at("volume"), simulated.at("volume"));
  for (const char* pass : {"forward", "backward"}) {
    const json& of = run.at("run").at(pass);
    std::vector<double> makespans = of.at("makespans_s");
    ASSERT_EQ(makespans.size(), 3u);
    std::ranges::sort(makespans);
    EXPECT_EQ(run.at(pass).at("makespan_s"), makespans[1]);
    EXPECT_GT(makespans[0], 0);
    EXPECT_GT(of.at("issue_s"), 0);
    for (const auto& [tensor, deviation] : of.at("deviation").items()) {
      EXPECT_LE(deviation, tensor == "lse" ? 1e-6 : 3e-3) << tensor;
      EXPECT_GE(deviation, tensor == "lse" ? 0 : 5e-4) << tensor;
    }
  }
  EXPECT_EQ(run.at("run").at("forward").at("deviation").size(), 2u);   // O and its log-sum-exp
  EXPECT_EQ(run.at("run").at("backward").at("deviation").size(), 3u);  // dQ, dK, dV
}

/// A planned schedule and the same one from a file give the same deviations.
TEST_F(RunVerb, TakesAScheduleFromAFile) {
  ASSERT_EQ(meshattn("plan " + kProblem + "--text s.txt").status, 0);
  const json read = results("run --device cpu --repeats 1 --schedule s.txt --cluster ideal-8x50");
  const json planned = results(kOnCpu);
  EXPECT_EQ(read.at("algorithm"), "schedule");
  for (const char* not_known : {"order", "wire_dtype"}) EXPECT_FALSE(read.contains(not_known));
  EXPECT_EQ(read.at("ops"), planned.at("ops"));
  EXPECT_EQ(read.at("run").at("forward").at("deviation"), planned.at("run").at("forward").at("deviation"));
}

/// Each op once, with the id and the track of the simulator.
TEST_F(RunVerb, TraceHasTheEventsOfSimulate) {
  ASSERT_EQ(meshattn(kOnCpu + "--trace run.json").status, 0);
  ASSERT_EQ(meshattn("simulate " + kProblem + "--trace sim.json").status, 0);
  const auto events = [&](const std::string& name) {
    std::vector<json> all;
    const json trace = json::parse(content(name));
    for (json event : trace.at("traceEvents")) {
      event.erase("ts");
      event.erase("dur");
      all.push_back(std::move(event));
    }
    std::ranges::sort(all);
    return all;
  };
  EXPECT_GT(events("run.json").size(), 40u);  // 4 ranks: their tracks and ops
  EXPECT_EQ(events("run.json"), events("sim.json"));
}

TEST_F(RunVerb, MeasuresWithoutACheck) {
  const ProgramRun run = meshattn(kOnCpu + "--check no --pass both --warm-ups 0");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("deviation from dense attention: not checked"));
}

TEST_F(RunVerb, ATimeoutNamesThePendingOps) {
  const ProgramRun run = meshattn(kOnCpu + "--timeout 1e-6");
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, StartsWith("meshattn: timed out; pending: rank 0 at op "));
  EXPECT_EQ(std::ranges::count(run.err, '\n'), 1);
}

TEST_F(RunVerb, BadInputIsOneLineAndStatusTwo) {
  ASSERT_EQ(meshattn("plan " + kProblem + "--text s.txt").status, 0);
  const std::string read = "run --device cpu --cluster ideal-8x50 --schedule ";
  expect_refused({{kOnCpu + "--device tpu", "--device is given more than once"},
                  {kOnCpu + "--kernels fast", "--kernels is for GPUs and has no meaning with --device cpu"},
                  {kOnCpu + "--max-ctas 4", "--max-ctas is for GPUs"},
                  {"run --device tpu " + kProblem, "unknown --device 'tpu': possible are cuda, cpu"},
                  {kOnCpu + "--transport nccl", "--device cpu is one process with --transport copies"},
                  {kOnCpu + "--transport tcp", "possible are copies, nccl"},
                  {kOnCpu + "--kernels slow", "possible are fast, repeatable, reference"},
                  {kOnCpu + "--ranks-per-gpu 0", "--ranks-per-gpu must be a whole number from 1"},
                  {kOnCpu + "--warm-ups -1", "--warm-ups must be a whole number from 0"},
                  {kOnCpu + "--timeout 0", "--timeout must be more than 0"},
                  {kOnCpu + "--seed x", "--seed"},
                  {kOnCpu + "--check maybe", "possible are yes, no"},
                  {kOnCpu + "--pass both --trace t.json", "--trace shows one pass"},
                  {kOnCpu + "--json missing/a.json", "missing/a.json: No such file or directory"},
                  {kOnCpu + "--json - --trace -", "cannot both write to standard output"},
                  {read + "none.txt", "none.txt: no such file"},
                  {read + "s.txt --order greedy", "--order is for planning a schedule"},
                  {read + "s.txt --gpus 4", "--gpus is for planning a schedule"},
                  {"run --device cpu --schedule s.txt", "--cluster is missing"}});
  EXPECT_EQ(files(), std::set<std::string>{"s.txt"});
}

TEST_F(RunVerb, RefusesWithoutADevice) {
  if (fs::exists("/dev/nvidiactl")) GTEST_SKIP() << "there is one here";
  const ProgramRun run = meshattn("run " + kProblem);
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  EXPECT_THAT(run.err, ContainsRegex("no CUDA device|built without"));
  EXPECT_THAT(run.err, HasSubstr("--device cpu"));
}

/// Each query sees itself alone, so that dQ and dK are zero; fp32 whose partial results travel in bf16.
TEST_F(RunVerb, AcceptsAccurateResults) {
  const std::string shape = "run --device cpu --repeats 1 --warm-ups 0 --cluster ideal-8x50 --heads 2 --head-dim 8 ";
  for (const char* more : {"--gpus 4 --seq 64 --mask window:1 --algorithm ring --pass both",
                           "--gpus 1 --seq 1 --algorithm ring --pass both",
                           "--gpus 4 --seq 64 --dtype fp32 --wire-dtype bf16 --tile 2x2 --pass both"}) {
    const ProgramRun run = meshattn(shape + more);
    EXPECT_EQ(run.status, 0) << more << run.err << run.out;
  }
}

TEST_F(RunVerb, RefusesHeadDimsThatKernelsDoNotTake) {
  expect_refused({{"run --device cpu --cluster ideal-8x50 --gpus 2 --heads 1 --head-dim 520 --seq 4 --algorithm ring",
                   "head dim 520: kernels take up to 512"}});
}

/// A schedule that is changed is refused before anything runs.
TEST_F(RunVerb, AWrongScheduleIsRefused) {
  ASSERT_EQ(meshattn("plan " + kProblem + "--text s.txt").status, 0);
  std::string text = content("s.txt");
  const std::size_t at = text.find("attend");
  ASSERT_NE(at, std::string::npos);
  const std::size_t begin = text.rfind('\n', at) + 1;
  text.erase(begin, text.find('\n', at) + 1 - begin);
  std::ofstream(folder_ / "s.txt") << text;
  const ProgramRun run = meshattn("run --device cpu --cluster ideal-8x50 --schedule s.txt");
  EXPECT_NE(run.status, 0);
  EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
}

}  // namespace
}  // namespace meshattn
