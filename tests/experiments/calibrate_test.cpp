#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cluster/cluster_file.h"
#include "core/report/leave_one_out.h"
#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

/// On threads of this CPU: every figure is measured and above zero, and simulate and validate take the cluster.
TEST_F(Cli, CalibrateWritesAClusterOfThisMachine) {
  const fs::path clusters = folder_ / "t/clusters";  // files of an earlier calibration with this name, and others
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
       {"forward: measured ", "simulated ", "critical path of the measured run", "deviation from dense"})
    EXPECT_THAT(said.out, HasSubstr(what)) << said.err;
  std::set<std::string> names;
  const json trace = json::parse(content("both.json"));
  for (const json& event : trace.at("traceEvents"))
    if (event.at("name") == "process_name") names.insert(event.at("args").at("name"));
  EXPECT_EQ(names.size(), 8u);  // four ranks, measured and simulated
  EXPECT_TRUE(names.contains("measured: rank 0 (node 0, gpu 0)"));
  EXPECT_TRUE(names.contains("simulated: rank 3 (node 0, gpu 3)"));
}

TEST_F(Cli, CalibrateAndValidateRefuseBadInput) {
  const std::string calibrate = "calibrate --device cpu --name a --out t ";
  std::ofstream(folder_ / "file") << "x";
  expect_refused(
      {{"calibrate --device cpu --name a", "--out is missing"},
       {"calibrate --device cpu --out t", "--name is missing"},
       {calibrate + "--lengths 64,32", "--lengths 64,32: must ascend"},
       {calibrate + "--lengths 64,,128", "--lengths"},
       {calibrate + "--heads 3 --kv-heads 2", "--heads 3 is not a multiple of --kv-heads 2"},
       {calibrate + "--ctas 1,2", "--ctas needs --transport nccl"},
       {calibrate + "--transport nccl --ctas 2,1", "--ctas 2,1: must ascend"},
       {calibrate + "--transport nccl --ctas 1,65", "--ctas 65: at most 64"},
       {calibrate + "--transport nccl --ranks-per-gpu 1 --lengths 16", "--transport nccl needs several GPUs"},
       {calibrate + "--message-tokens 5,6", "--message-tokens: 5 must divide 6"},
       {calibrate + "--message-tokens 1,128K", "must divide 131072 into at most 65536 parts"},
       {calibrate + "--max-ctas 65", "--max-ctas 65: at most 64"},
       {"calibrate --device cpu --name a --out file/t", "--out file/t: "},
       {"calibrate --device cpu --name ../a --out t", "--name '../a': up to 100 letters, digits"},
       {"validate --table x.csv --gpus 4", "--gpus has no place beside --table"},
       {"validate --device cpu --gpus 4", "--model NAME is missing"}});
}

}  // namespace
}  // namespace meshattn
