#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace meshattn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

struct Outcome {
  int status;
  std::string out;
  std::string err;
};

/// Drives the program as a user does, in an empty folder of its own.
class Cli : public testing::Test {
 protected:
  Cli() : folder_(fs::temp_directory_path() / fmt::format("meshattn_cli_{}", getpid())) {
    fs::create_directory(folder_);
  }
  ~Cli() override { fs::remove_all(folder_); }

  /// `arguments` as a shell reads them; `out` is where standard output goes.
  [[nodiscard]] Outcome meshattn(const std::string& arguments, const std::string& out = "out.txt") const {
    const std::string command =
        fmt::format("cd {} && {} {} >{} 2>err.txt", folder_.string(), MESHATTN_PROGRAM, arguments, out);
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content("out.txt"), content("err.txt")};
  }

  /// The results of a run that must go well.
  [[nodiscard]] json results(const std::string& arguments) const {
    const Outcome run = meshattn(arguments + " --json -");
    EXPECT_EQ(run.status, 0) << arguments << '\n' << run.err;
    EXPECT_EQ(run.err, "");
    return json::parse(run.out, nullptr, false);
  }

  [[nodiscard]] std::string content(const std::string& name) const {
    std::ifstream in(folder_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename());
    names.erase("out.txt");
    names.erase("err.txt");
    return names;
  }

  fs::path folder_;
};

/// Chunks of 4,096 tokens × 32 heads × 128 in bf16: Q is 2^25 bytes, KV of MHA 2^26; a block takes 1 ms forward.
std::string ideal(int gpus, const std::string& more, int kv_heads = 32) {
  return fmt::format(
      "--cluster ideal-8x50 --gpus {} --seq {} --heads 32 --kv-heads {} --head-dim 128 --dtype bf16 --mask full "
      "--partition contiguous {}",
      gpus, gpus * 4096, kv_heads, more);
}

TEST_F(Cli, HelpOfEveryVerbNamesItsOptionsAndAnExample) {
  const std::map<std::string, std::vector<std::string>> options{
      {"plan", {"--model", "--seq", "--tile", "--order", "--memory-limit", "--text", "--json"}},
      {"simulate", {"--cluster", "--set", "--wire-dtype", "--trace", "--trace-ranks", "--json"}},
      {"compare", {"--algorithm", "--pass", "--mask", "--partition", "--json", "--log-level"}},
      {"topology", {"--cluster", "--gpus", "--set", "--topologies"}}};
  const Outcome top = meshattn("--help");
  EXPECT_EQ(top.status, 0);
  for (const auto& [verb, names] : options) {
    EXPECT_THAT(top.out, HasSubstr("  " + verb));
    const Outcome help = meshattn(verb + " --help");
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_THAT(help.out, HasSubstr("example:\n  meshattn " + verb));
    for (const std::string& name : names) EXPECT_THAT(help.out, HasSubstr(name)) << verb;
  }
}

TEST_F(Cli, VersionSaysWhatWasBuiltIn) {
  const Outcome version = meshattn("--version");
  EXPECT_EQ(version.status, 0);
  for (const char* what : {"meshattn ", "build type", "SimGrid", "GPU runtime"})
    EXPECT_THAT(version.out, HasSubstr(what));
}

TEST_F(Cli, BadInputIsOneLineAndStatusTwo) {
  const std::string ring = ideal(8, "--algorithm ring "), tile = ideal(8, "--tile ");
  const std::string shape = "--heads 32 --head-dim 128 --seq 32K --algorithm ring --cluster ideal-8x50 ";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "--help"},
      {"simulat", "did you mean simulate?"},
      {"fly", "possible are plan, simulate, compare, topology"},
      {"--sea 4K", "verb"},
      {"plan --frob", "no option --frob"},
      {"simulate " + ring + "--aglorithm mesh", "did you mean --algorithm?"},
      {"simulate " + ring + "--gpu 8", "did you mean --gpus?"},
      {"simulate " + ring + "--seq", "--seq needs a value"},
      {"simulate " + ring + "--trace --json", "--trace needs a value"},
      {"simulate " + ring + "--seq 4K", "--seq is given more than once"},
      {"simulate " + ring + "now", "unexpected argument 'now'"},
      {"simulate " + ring + "--help=yes", "--help takes no value"},
      {"simulate " + ring + "--batch 0", "--batch must be"},
      {"simulate " + ring + "--batch 1.5", "'1.5'"},
      {"simulate " + ring + "--pass sideways", "possible are forward, backward, both"},
      {"simulate " + ring + "--order best", "unknown order 'best'"},
      {"simulate " + ring + "--wire-dtype int8", "int8"},
      {"simulate " + ring + "--memory-limit 80X", "--memory-limit must be"},
      {"simulate " + ring + "--memory-limit 1M", "the least possible"},
      {"simulate " + ring + "--log-level loud", "possible are debug, info, warn, error, off"},
      {"simulate " + ring + "--trace-ranks 0", "--trace-ranks needs --trace"},
      {"simulate " + ring + "--trace t.json --trace-ranks 8", "ranks from 0 to 7"},
      {"simulate " + ring + "--trace t.json --pass both", "--trace shows one pass"},
      {"simulate " + ring + "--json missing/a.json", "missing/a.json: No such file or directory"},
      {"simulate " + ring + "--set nic.bandwith_GBps=25", "bandwidth_GBps"},
      {"simulate " + ring + "--set nic.bandwidth_GBps=fast", "fast"},
      {"simulate " + ring + "--model no-such-model", "no-such-model"},
      {"simulate " + tile + "3x3", "tile 3x3 does not make 8 ranks"},
      {"simulate " + tile + "8", "--tile must be AxB"},
      {"simulate " + tile + "2x4 --algorithm ring", "ring on 8 ranks is the tile 1x8"},
      {"simulate " + tile + "2x4 --algorithm star", "unknown algorithm 'star'"},
      {"simulate " + ideal(8, ""), "--algorithm is missing"},
      {"simulate " + ideal(8, "--algorithm ring", 5), "5"},
      {"simulate " + ideal(12, "--algorithm ring"), "12 GPUs"},
      {"simulate " + shape, "--gpus is missing"},
      {"simulate --gpus 8 --seq 8K --algorithm ring --cluster ideal-8x50", "--model NAME is missing"},
      {"simulate --gpus 8 --algorithm ring --cluster ideal-8x50 --heads 8 --head-dim 64", "--seq is missing"},
      {"simulate --gpus 8 --seq 4 --algorithm ring --cluster ideal-8x50 --heads 8 --head-dim 64", "too short"},
      {"simulate --gpus 8 --seq 8k --algorithm ring --cluster ideal-8x50 --heads 8 --head-dim 64", "'8k'"},
      {"simulate --gpus 8 --seq 8K --algorithm ring --heads 8 --head-dim 64", "--cluster is missing"},
      {"simulate --gpus 8 --seq 8K --algorithm ring --heads 8 --head-dim 64 --cluster dgx-z", "dgx-z"},
      {"plan " + ring + "--text a --pass both", "--text writes one schedule"},
      {"plan " + ring + "--text - --json -", "cannot share standard output"},
      {"compare " + ideal(8, "--tile 3x3"), "tile 3x3 does not make 8 ranks"},
      {"compare " + ideal(8, "--memory-limit 1K"), "no algorithm is possible"},
      {"topology --gpus 8", "--gpus needs --cluster"},
      {"topology --cluster ideal-8x50 --gpus 12", "12 GPUs"},
      {"topology --topologies /nowhere", "/nowhere"}};
  for (const auto& [arguments, says] : cases) {
    const Outcome run = meshattn(arguments);
    EXPECT_EQ(run.status, 2) << arguments << '\n' << run.err;
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << arguments << '\n' << run.err;
    EXPECT_TRUE(run.err.starts_with("meshattn: ")) << run.err;
    EXPECT_THAT(run.err, HasSubstr(says)) << arguments;
  }
  EXPECT_EQ(files(), std::set<std::string>());
}

TEST_F(Cli, JsonHasTheKeysOfTheContract) {
  const json r = results("simulate " + ideal(16, "--algorithm ring"));
  for (const char* key : {"makespan_s", "compute_s", "waiting", "compute_balance", "problem_bound_s"})
    EXPECT_TRUE(r.at(key).is_number_float()) << key;
  for (const char* key : {"compute_s", "busiest_link_s", "busiest_link"}) EXPECT_TRUE(r.at("bounds").contains(key));
  for (const char* key : {"bytes_received_avg", "bytes_received_max", "chunks_received_avg", "inter_node_bytes_avg"})
    EXPECT_TRUE(r.at("volume").contains(key)) << key;
  for (const char* key : {"peak_bytes", "transfers", "ops"}) EXPECT_TRUE(r.at(key).is_number_unsigned()) << key;
  for (const char* key : {"plan_s", "validate_s", "simulate_s"}) EXPECT_TRUE(r.at("wall").contains(key)) << key;
  ASSERT_FALSE(r.at("links").empty());
  EXPECT_LE(r.at("links").size(), 10u);
  for (const char* key : {"name", "bytes", "busy_s", "utilisation"})
    for (const json& link : r.at("links")) EXPECT_TRUE(link.contains(key)) << key;
  double share = 0;
  for (const json& wait : r.at("waits")) share += wait.at("share").get<double>();
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_EQ(r.at("tile"), "1x16");
  EXPECT_EQ(r.at("problem").at("seq_q"), 65536);
}

TEST_F(Cli, BothPassesStandBesideTheirSum) {
  const json r = results("simulate " + ideal(8, "--tile 2x4 --pass both"));
  const auto of = [&](const char* pass, const char* key) { return r.at(pass).at(key).get<double>(); };
  EXPECT_DOUBLE_EQ(r.at("makespan_s").get<double>(), of("forward", "makespan_s") + of("backward", "makespan_s"));
  EXPECT_EQ(r.at("transfers").get<double>(), of("forward", "transfers") + of("backward", "transfers"));
  EXPECT_EQ(r.at("peak_bytes").get<double>(), std::max(of("forward", "peak_bytes"), of("backward", "peak_bytes")));
}

TEST_F(Cli, RingOnNodesOfEightTakesTheTimeDerivedByHand) {
  // Every step attends one block (1 ms) while KV goes one hop: 2^26 bytes, 1 µs + 2^26 / 50e9 s = 1.34317728 ms between
  // nodes. Up to 8 GPUs the hop (1 µs + 2^26 / 400e9 s = 0.169 ms) hides behind the block: N blocks, exactly N ms.
  // Beyond, all wait for the slowest hop, N − 1 times, and then attend the last block.
  EXPECT_NEAR(results("simulate " + ideal(8, "--algorithm ring")).at("makespan_s").get<double>(), 8e-3, 1e-12);
  for (int n : {16, 64, 256})
    EXPECT_NEAR(results("simulate " + ideal(n, "--algorithm ring")).at("makespan_s").get<double>(),
                (n - 1) * 1.34317728e-3 + 1e-3, 1e-6)
        << n;
}

TEST_F(Cli, VolumesOfLargeTilesAreTheirClosedForms) {
  // Tile a×b, MHA: forward a − 1 Q, b − 1 KV of two chunks, a − 1 partial O of one chunk in bf16, two in fp32:
  // 16×16: 15 + 30 + 15 = 60, fp32 75. Backward a − 1 of Q, dO, dQ, b − 1 of KV and dKV: 45 + 60 = 105. Ring, 1×256:
  // 255 · 2 = 510, and backward 255 · 4 = 1020. A ring has no partial that travels forward.
  const auto chunks = [&](const std::string& more) {
    const json r = results("simulate " + ideal(256, more));
    EXPECT_GE(r.at("makespan_s").get<double>(), std::max(r.at("bounds").at("compute_s").get<double>(),
                                                         r.at("bounds").at("busiest_link_s").get<double>()) *
                                                    (1 - 1e-9));
    return r.at("volume").at("chunks_received_avg").get<double>();
  };
  EXPECT_DOUBLE_EQ(chunks("--tile 16x16 --wire-dtype bf16"), 60);
  EXPECT_DOUBLE_EQ(chunks("--tile 16x16 --wire-dtype fp32"), 75);
  EXPECT_DOUBLE_EQ(chunks("--tile 16x16 --wire-dtype bf16 --pass backward"), 105);
  EXPECT_DOUBLE_EQ(chunks("--algorithm ring"), 510);
  EXPECT_DOUBLE_EQ(chunks("--algorithm ring --wire-dtype bf16 --pass backward"), 1020);
}

TEST_F(Cli, CompareFindsTheTilesOfLeastVolumeForGroupedHeads) {
  // g = 8: 2(a − 1) + (2/8)(b − 1) over a·b = 256 is least at 4×64 (6 + 15.75) and 8×32 (14 + 7.75): 21.75.
  const json r = results("compare " + ideal(256, "--wire-dtype bf16", 4));
  ASSERT_EQ(r.at("rows").size(), 9u);  // ring and the tiles 2×128 … 256×1
  double least = 1e9;
  std::set<std::string> best;
  for (const json& row : r.at("rows")) {
    const std::string tile = row.at("tile");
    const int a = std::stoi(tile), b = 256 / a;
    const double chunks = row.at("volume").at("chunks_received_avg");
    EXPECT_DOUBLE_EQ(chunks, 2 * (a - 1) + 0.25 * (b - 1)) << tile;
    EXPECT_GE(row.at("makespan_s").get<double>(), std::max(row.at("bounds").at("compute_s").get<double>(),
                                                           row.at("bounds").at("busiest_link_s").get<double>()) *
                                                      (1 - 1e-9))
        << tile;
    if (chunks < least) best.clear();
    least = std::min(least, chunks);
    if (chunks == least) best.insert(tile);
  }
  EXPECT_DOUBLE_EQ(least, 21.75);
  EXPECT_EQ(best, (std::set<std::string>{"4x64", "8x32"}));
}

TEST_F(Cli, CompareAnswersInWordsAndSaysWhyARowIsNotPossible) {
  const Outcome run = meshattn("compare " + ideal(16, "--pass both --memory-limit 1G"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("ring       1x16"));
  EXPECT_THAT(run.out, HasSubstr("not possible because"));
  EXPECT_THAT(run.out, HasSubstr("is the fastest: "));
  EXPECT_THAT(run.out, HasSubstr("Forward is fastest with "));
}

TEST_F(Cli, TraceHasOneTrackPerLaneOfEveryRank) {
  const Outcome run = meshattn("simulate " + ideal(16, "--tile 4x4 --trace t.json --trace-ranks 0-2,9"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(files(), std::set<std::string>{"t.json"});
  const json trace = json::parse(content("t.json"));
  std::map<std::pair<int, int>, double> free_from;  // by (rank, lane)
  std::set<int> ranks;
  int tracks = 0;
  for (const json& event : trace.at("traceEvents")) {
    if (event.at("name") == "process_name") ranks.insert(event.at("pid").get<int>());
    if (event.at("name") == "thread_name") ++tracks;
    if (event.at("ph") != "X") continue;
    double& busy = free_from[{event.at("pid").get<int>(), event.at("tid").get<int>()}];
    EXPECT_GE(event.at("ts").get<double>(), busy - 1e-9);  // ops of a lane follow one another
    busy = event.at("ts").get<double>() + event.at("dur").get<double>();
  }
  EXPECT_EQ(ranks, (std::set<int>{0, 1, 2, 9}));
  EXPECT_EQ(tracks, static_cast<int>(free_from.size()));  // no track is empty
  EXPECT_GE(tracks, 2 * 4);
}

TEST_F(Cli, PlanProvesAndPrintsTheOrders) {
  const Outcome run = meshattn("plan " + ideal(16, "--tile 4x4 --text s.txt --json p.json"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("proved: 256 blocks"));  // 16 ranks × 4 × 4
  EXPECT_TRUE(content("s.txt").starts_with("meshattn schedule"));
  const json plan = json::parse(content("p.json")).at("forward");
  EXPECT_EQ(plan.at("proved"), true);
  const json& t = plan.at("one_lane");
  EXPECT_LE(t.at("lower_bound_s").get<double>(), t.at("optimal_s").get<double>() * (1 + 1e-12));
  EXPECT_LE(t.at("optimal_s").get<double>(), t.at("greedy_s").get<double>() * (1 + 1e-12));
  EXPECT_LE(t.at("optimal_s").get<double>(), t.at("naive_s").get<double>() * (1 + 1e-12));
}

TEST_F(Cli, AFullDiskIsOneLineAndStatusOne) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const auto expect_full = [](const Outcome& run) {
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr("No space left on device"));
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  };
  expect_full(meshattn("simulate " + ideal(8, "--algorithm ring --json /dev/full")));
  expect_full(meshattn("simulate " + ideal(8, "--algorithm ring --trace /dev/full")));
  expect_full(meshattn("plan " + ideal(8, "--tile 2x4 --text /dev/full")));
  expect_full(meshattn("simulate " + ideal(8, "--algorithm ring --json -"), "/dev/full"));
  expect_full(meshattn("--help", "/dev/full"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_EQ(files(), std::set<std::string>());
}

TEST_F(Cli, TopologyShowsEveryClusterWithItsSources) {
  const Outcome list = meshattn("topology");
  EXPECT_EQ(list.status, 0);
  for (const char* name : {"dgx-a100", "dgx-h100", "dgx-h200", "ideal-8x50"}) {
    EXPECT_THAT(list.out, HasSubstr(name));
    const Outcome one = meshattn(fmt::format("topology --cluster {} --gpus 16", name));
    EXPECT_EQ(one.status, 0) << one.err;
    for (const char* what : {"GPU 7", "NIC", "16 GPUs", "on 2 nodes of 8", "nic.bandwidth_GBps", "source"})
      EXPECT_THAT(one.out, HasSubstr(what)) << name;
  }
  EXPECT_THAT(meshattn("topology --cluster dgx-h100 --set nic.bandwidth_GBps=25").out, HasSubstr("set for this run"));
}

TEST_F(Cli, ModelsGiveHeadsAndNumbersOverrideThem) {
  // Llama 3.1 8B: 32 query heads, 8 key/value heads of 128, causal.
  const std::string run = "simulate --cluster ideal-8x50 --gpus 8 --seq 8K --algorithm ring --model llama-3.1-8b ";
  const json model = results(run).at("problem"), changed = results(run + "--kv-heads 4 --mask full").at("problem");
  EXPECT_EQ(model.at("heads"), 32);
  EXPECT_EQ(model.at("kv_heads"), 8);
  EXPECT_EQ(model.at("head_dim"), 128);
  EXPECT_EQ(model.at("mask"), "causal");
  EXPECT_EQ(model.at("partition"), "zigzag");
  EXPECT_EQ(changed.at("kv_heads"), 4);
  EXPECT_EQ(changed.at("mask"), "full");
  EXPECT_EQ(changed.at("partition"), "contiguous");
}

}  // namespace
}  // namespace meshattn
