#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST_F(Cli, MasksHaveNamesAndDocumentsAFile) {
  std::ofstream(folder_ / "d.txt") << "# two of 8K in all\n5000 3000\n192  # the rest\n";
  const std::string run = "simulate --cluster ideal-8x50 --gpus 8 --seq 8K --algorithm ring --heads 8 --head-dim 64 ";
  const auto problem = [&](const std::string& mask) { return results(run + "--mask " + mask).at("problem"); };
  const std::string file = "documents:" + (folder_ / "d.txt").string();
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {"window:1K", "window:1024", "contiguous"},
      {file + " --partition zigzag", "documents (3)", "zigzag"},
      {"causal+" + file + " --partition contiguous", "documents (3)", "contiguous"},
      {"full+" + file + " --partition striped", "full+documents (3)", "striped"},
      {"window:100+" + file, "window:100+documents (3)", "contiguous"},
      {file + " --partition document-zigzag", "documents (3)", "document-zigzag"}};
  for (const auto& [mask, name, partition] : cases) {
    EXPECT_EQ(problem(mask).at("mask"), name);
    EXPECT_EQ(problem(mask).at("partition"), partition);
  }
  EXPECT_EQ(problem("causal --prefix 1K").at("seq_kv"), 9216);
  EXPECT_THAT(meshattn(run + "--mask causal --prefix 1K").out, HasSubstr("8,192 tokens after 1,024 cached"));
}

TEST_F(Cli, ErrorsOfMasksNameFileAndLine) {
  const std::string run = "simulate --cluster ideal-8x50 --gpus 8 --seq 8K --algorithm ring --heads 8 --head-dim 64 ";
  const auto expect_refused = [&](const std::string& options, const std::string& says) {
    const ProgramRun refused = meshattn(run + options);
    EXPECT_EQ(refused.status, 2) << refused.err;
    EXPECT_EQ(std::ranges::count(refused.err, '\n'), 1) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(says));
  };
  const auto with_file = [&](const std::string& text, const std::string& options = "") {
    std::ofstream(folder_ / "d.txt") << text;
    return "--mask documents:" + (folder_ / "d.txt").string() + options;
  };
  expect_refused("--mask banded",
                 "--mask: unknown mask 'banded': possible are full, causal, window:W, documents:FILE or");
  expect_refused("--mask window:0", "the window of a mask must be a number of tokens");
  expect_refused("--mask window:4K --prefix 4K", "but a window of 4096 sees only the last 4095");
  expect_refused("--mask documents:/nowhere/d.txt", "/nowhere/d.txt: no such file");
  expect_refused("--mask documents:/", "/: cannot be read");
  expect_refused("--mask causal --partition document-zigzag", "partition document-zigzag needs --mask documents:FILE");
  expect_refused(with_file("4096\n4096\n", " --prefix 1K"), "no cached prefix");
  expect_refused(with_file("4096 # ok\n\nmany"), "d.txt:3: the length of a document must be a number of tokens");
  expect_refused(with_file("4096\n0\n"), "d.txt:2: the length of a document must be");
  expect_refused(with_file("4096\n5000\n"), "d.txt:2: 9096 tokens up to here, more than the 8192 of the sequence");
  expect_refused(with_file("4096\n"), "d.txt:2: 4096 tokens in all, not the 8192 of the sequence");
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
