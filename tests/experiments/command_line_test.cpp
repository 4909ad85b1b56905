#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

TEST_F(Cli, HelpOfEveryVerbNamesItsOptionsAndAnExample) {
  const std::map<std::string, std::vector<std::string>> options{
      {"plan", {"--model", "--seq", "--tile", "--order", "--memory-limit", "--text", "--json"}},
      {"simulate", {"--cluster", "--set", "--wire-dtype", "--trace", "--trace-ranks", "--json"}},
      {"compare",
       {"--algorithm", "--pass", "--mask", "--prefix", "--partition", "--placement", "--json", "--log-level"}},
      {"run",
       {"--schedule", "--device", "--ranks-per-gpu", "--transport", "--kernels", "--timeout", "--json", "--trace"}},
      {"calibrate", {"--name", "--out", "--lengths", "--device"}},
      {"validate", {"--table", "--json", "--device", "--trace"}},
      {"topology", {"--cluster", "--gpus", "--set", "--topologies"}},
      {"completion", {"--shell"}}};
  const ProgramRun top = meshattn("--help");
  EXPECT_EQ(top.status, 0);
  for (const auto& [verb, names] : options) {
    EXPECT_THAT(top.out, HasSubstr("  " + verb));
    const ProgramRun help = meshattn(verb + " --help");
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_THAT(help.out, HasSubstr("example:\n  meshattn " + verb));
    EXPECT_THAT(help.out, HasSubstr("\noutput:\n  ")) << verb;
    for (const std::string& name : names) EXPECT_THAT(help.out, HasSubstr("\n  " + name + " ")) << verb;
  }
}

TEST_F(Cli, VersionSaysWhatWasBuiltIn) {
  const ProgramRun version = meshattn("--version");
  EXPECT_EQ(version.status, 0);
  for (const char* what : {"meshattn ", "build type", "SimGrid", "GPU runtime", "processes"})
    EXPECT_THAT(version.out, HasSubstr(what));
  EXPECT_EQ(version.out.find("GPU runtime      not built") == std::string::npos, MESHATTN_HAS_CUDA != 0);
}

TEST_F(Cli, BadInputIsOneLineAndStatusTwo) {
  const std::string ring = ideal(8, "--algorithm ring "), tile = ideal(8, "--tile ");
  const std::string shape = "--heads 32 --head-dim 128 --seq 32K --algorithm ring --cluster ideal-8x50 ";
  expect_refused(
      {{"", "--help"},
       {"simulat", "did you mean simulate?"},
       {"fly", "possible are plan, simulate, compare, run, calibrate, validate, topology"},
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
       {"simulate " + ring + "--placement spiral", "--placement must be linear, grid:SxT"},
       {"simulate " + ring + "--placement grid:2", "not 'grid:2'"},
       {"simulate " + ring + "--placement grid:2x4", "possible are 1x8"},
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
       {"simulate " + tile + "2x4 --algorithm ring", "ring forward on 8 ranks is the tile 1x8"},
       {"simulate " + tile + "2x4 --algorithm star", "unknown algorithm 'star'"},
       {"simulate " + ideal(8, ""), "--algorithm is missing"},
       {"simulate " + ideal(8, "--algorithm ring", 5), "5"},
       {"simulate " + ideal(12, "--algorithm ring"), "12 GPUs"},
       {"simulate " + ring + "--slices many", "--slices, unless auto, must be"},
       {"simulate " + ring + "--slices 3", "32 heads cannot be shared out evenly among 3 slices"},
       {"simulate " + ring + "--exchange carrier", "possible are ring, direct"},
       {"simulate " + ring + "--ulysses 2", "ring takes no --ulysses"},
       {"simulate " + ring + "--inner 2", "ring takes no --inner"},
       {"simulate " + ring + "--tile-backward 2x4", "without a backward pass"},
       {"simulate " + ideal(8, "--pass backward --tile 2x4 --tile-backward 4x2"), "two tiles for one pass"},
       {"simulate " + ideal(8, "--algorithm star-trail"), "star-trail needs --tile AxB: on 8 ranks one of 1x8, 2x4"},
       {"simulate " + ideal(8, "--algorithm star-trail --tile 4x2"), "possible are 1x8, 2x4"},
       {"simulate " + ideal(8, "--algorithm tasp --slices auto"), "tasp takes no --slices"},
       {"simulate " + ideal(8, "--algorithm usp"), "usp needs --ulysses U"},
       {"simulate " + ideal(8, "--algorithm usp --ulysses 3"), "--ulysses 3 does not divide 8 ranks"},
       {"simulate " + ideal(8, "--algorithm double-ring --inner 3"), "inner rings of 3 do not make up a ring of 8"},
       {"simulate " + ideal(8, "--algorithm pass-q --pass backward"), "pass-q is known for the forward pass alone"},
       {"simulate " + ideal(8, "--algorithm attention-2d --tile 2x4 --order naive"), "takes no --order"},
       {"simulate " + shape, "--gpus is missing"},
       {"simulate --gpus 8 --seq 8K --algorithm ring --cluster ideal-8x50", "--model NAME is missing"},
       {"simulate --gpus 8 --algorithm ring --cluster ideal-8x50 --heads 8 --head-dim 64", "--seq is missing"},
       {"simulate --gpus 8 --seq 4 --algorithm ring --cluster ideal-8x50 --heads 8 --head-dim 64", "too short"},
       {"simulate --gpus 8 --seq 8k --algorithm ring --cluster ideal-8x50 --heads 8 --head-dim 64", "'8k'"},
       {"simulate --gpus 8 --seq 8K --algorithm ring --heads 8 --head-dim 64", "--cluster is missing"},
       {"simulate --gpus 8 --seq 8K --algorithm ring --heads 8 --head-dim 64 --cluster dgx-z", "dgx-z"},
       {"plan " + ring + "--text a --pass both", "--text writes one schedule"},
       {"plan " + ring + "--text - --json -", "cannot both write to standard output"},
       {"compare " + ideal(8, "--algorithm star"), "unknown algorithm 'star'"},
       {"compare " + ideal(8, "--tile 3x3"), "tile 3x3 does not make 8 ranks"},
       {"compare " + ideal(8, "--pass both --tile-backward 3x3"), "tile 3x3 does not make 8 ranks"},
       {"compare " + ideal(8, "--memory-limit 1K"), "none of 22 ways is possible"},
       {"validate --table missing.csv", "missing.csv: no such file"},
       {"validate --table .", ".: cannot be read"},
       {"topology --gpus 8", "--gpus needs --cluster"},
       {"topology --framework pytorch-ring", "--framework needs --cluster"},
       {"topology --cluster ideal-8x50 --gpus 12", "12 GPUs"},
       {"topology --topologies /nowhere", "/nowhere"}});
  EXPECT_EQ(files(), std::set<std::string>());
}

TEST_F(Cli, AFullDiskIsOneLineAndStatusOne) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const auto expect_full = [](const ProgramRun& run) {
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr("No space left on device"));
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  };
  expect_full(meshattn("simulate " + ideal(8, "--algorithm ring --json /dev/full")));
  expect_full(meshattn("simulate " + ideal(8, "--algorithm ring --trace /dev/full")));
  expect_full(meshattn("plan " + ideal(8, "--tile 2x4 --text /dev/full")));
  expect_full(meshattn("simulate " + ideal(8, "--algorithm ring --json -"), "/dev/full"));
  expect_full(meshattn("--help", "/dev/full"));
  expect_full(meshattn("topology --cluster dgx-h100", "/dev/full"));  // more than a buffer holds
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_EQ(files(), std::set<std::string>());
}

}  // namespace
}  // namespace meshattn
