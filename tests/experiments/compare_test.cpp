#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;

TEST_F(Cli, CompareAnswersInWordsAndSaysWhyARowIsNotPossible) {
  const ProgramRun run = meshattn("compare " + ideal(16, "--pass both --memory-limit 1G"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("ring          1x16"));
  EXPECT_THAT(run.out, HasSubstr("not possible because"));
  EXPECT_THAT(run.out, HasSubstr("is the fastest: "));
}

/// All compute for 16 s: of what is no slower than a thousandth the row that receives least has the star.
TEST_F(Cli, CompareStarsWhatReceivesLeastOfTheFastest) {
  const std::string compute_bound =
      "compare --cluster ideal-8x50 --gpus 4 --seq 1M --heads 32 --head-dim 128 --mask full ";
  const json rows = results(compute_bound + "--algorithm mesh").at("rows");
  const json *fastest = nullptr, *fewest = nullptr;
  for (const json& row : rows)
    if (fastest == nullptr || row.at("makespan_s") < fastest->at("makespan_s")) fastest = &row;
  const auto received = [](const json& row) { return row.at("volume").at("bytes_received_avg").get<double>(); };
  for (const json& row : rows) {
    EXPECT_LT(row.at("makespan_s"), 1.001 * fastest->at("makespan_s").get<double>());
    if (fewest == nullptr || received(row) < received(*fewest)) fewest = &row;
  }
  for (const json& row : rows) EXPECT_EQ(row.at("fastest"), &row == fewest);
  EXPECT_NE(received(*fewest), received(*fastest));
  EXPECT_THAT(meshattn(compute_bound + "--algorithm mesh").out,
              ContainsRegex("\n\\*  mesh +" + fewest->at("tile").get<std::string>()));
}

/// Every algorithm has a row or a reason, whatever divides or does not.
TEST_F(Cli, CompareListsEveryAlgorithm) {
  const std::string causal = "compare --cluster ideal-8x50 --heads 1 --head-dim 64 --seq 64K --mask causal ";
  for (const std::string gpus :
       {"--gpus 1", "--gpus 7", "--gpus 8", "--gpus 8 --ulysses 3", "--gpus 8 --ulysses 2 --tile 3x3"}) {
    const json r = results(causal + gpus);
    std::set<std::string> names;
    for (const json& row : r.at("rows")) {
      names.insert(row.at("algorithm"));
      EXPECT_TRUE(row.contains("makespan_s") != row.contains("not_possible")) << row;
    }
    EXPECT_EQ(names.size(), 15u) << gpus;
  }
}

/// Eight documents over 16 GPUs: what is chosen is no slower than what is asked for, and each row says what it has.
TEST_F(Cli, DocumentsAreDealtAsIsFastest) {
  std::ofstream(folder_ / "docs.txt") << "4096 4096 4096 4096 4096 4096 4096 4096";
  const std::string problem =
      "simulate --cluster dgx-h100 --gpus 16 --model llama-2-7b --seq 32K --algorithm ring --mask documents:docs.txt ";
  const json free = results(problem);
  EXPECT_EQ(free.at("problem").at("partition"), "contiguous");
  const json rows = results("compare" + problem.substr(8));
  EXPECT_EQ(rows.at("problem").at("partition"), "fastest");
  EXPECT_EQ(rows.at("rows")[0].at("partition"), "contiguous");
  EXPECT_THAT(meshattn("compare" + problem.substr(8)).out,
              ContainsRegex("fastest partition\n.*\n\n.*\n.*ring +1x16, contiguous"));
  for (const char* partition : {"contiguous", "zigzag", "document-zigzag"})
    EXPECT_LE(free.at("makespan_s").get<double>(),
              1.001 * results(problem + "--partition " + partition).at("makespan_s").get<double>())
        << partition;
}

/// The tile of the backward pass is one row's of those that take tiles, and passes are put together only where tokens
/// and heads stay where they are.
TEST_F(Cli, CompareKeepsThePassesApart) {
  const std::string both = "compare " + ideal(16, "--pass both --tile 2x8 --tile-backward 4x4");
  const ProgramRun run = meshattn(both);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, ContainsRegex("ring +1x16 +[0-9]"));
  EXPECT_THAT(run.out, ContainsRegex("mesh +2x8 forward, 4x4 backward +[0-9]"));
  const json backward = results("compare " + ideal(16, "--pass backward --tile-backward 4x4 --algorithm mesh"));
  EXPECT_EQ(backward.at("rows").size(), 2u);  // ring and one mesh
  // A GPU that does everything at once: forward the tile of least time is another one than backward.
  const ProgramRun pair =
      meshattn("compare " + ideal(16, "--pass both --algorithm mesh --set gpu.attention_TFLOPs=1e5", 8));
  EXPECT_THAT(pair.out, ContainsRegex("mesh [0-9]+x[0-9]+ forward .* backward .* together, and tokens need not move"));
  // Two grids of one name are not one placement.
  const ProgramRun grids = meshattn(
      "compare --cluster dgx-h100 --gpus 32 --model llama-3.1-8b --seq 32K --mask causal --algorithm mesh --pass both "
      "--placement grid:2x4");
  EXPECT_THAT(grids.out, testing::Not(HasSubstr("together")));
  EXPECT_THAT(meshattn("compare " + ideal(16, "--algorithm ring --placement grid:2x4")).out,
              HasSubstr("ring 1x16: not possible because grid 2x4"));
  const ProgramRun apart = meshattn(
      "compare --cluster dgx-h100 --model llama-2-7b --seq 128K --gpus 16 --pass both --set nic.bandwidth_GBps=2");
  EXPECT_EQ(apart.status, 0) << apart.err;
  EXPECT_THAT(apart.out, testing::Not(ContainsRegex("usp.* forward .* and ulysses 16.* backward")));
}

/// The plain ring is the yardstick whatever is asked of the others; light-seq has its own partition, unless one is
/// given.
TEST_F(Cli, CompareGivesEveryRowWhatItTakes) {
  const std::string problem = "compare " + ideal(16, "--slices 2 --exchange direct");
  const ProgramRun run = meshattn(problem);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, ContainsRegex("ring +1x16  +[0-9]"));
  EXPECT_THAT(run.out, ContainsRegex("ring +1x16, direct, 2 slices  +[0-9]"));
  EXPECT_THAT(run.out, ContainsRegex("star-trail +2x8  +[0-9]"));
  EXPECT_THAT(run.out, ContainsRegex("double-ring +1x16, inner 8, 2 slices  +[0-9]"));
  const std::string causal = "compare --cluster dgx-h100 --gpus 16 --model llama-2-7b --seq 64K ";
  EXPECT_THAT(meshattn(causal).out, ContainsRegex("light-seq +1x16, contiguous  +[0-9]"));
  EXPECT_THAT(meshattn(causal + "--algorithm light-seq").out, ContainsRegex("ring +1x16, zigzag  +[0-9]"));
  EXPECT_THAT(meshattn(causal + "--algorithm light-seq --partition zigzag").out,
              HasSubstr("takes none that are zigzag"));
}

TEST_F(Cli, SlicesThatTheToolChoseAreNamed) {
  const std::string problem =
      "--cluster dgx-h100 --gpus 32 --model llama-2-7b --seq 128K --tile 4x8 --set nic.bandwidth_GBps=3 --pass both "
      "--slices auto ";
  const nlohmann::json r = results("simulate " + problem);
  EXPECT_GT(r.at("slices").get<int>(), 1);
  EXPECT_EQ(r.at("slices"),
            std::max(r.at("forward").at("slices").get<int>(), r.at("backward").at("slices").get<int>()));
  EXPECT_THAT(meshattn("simulate " + problem).out, HasSubstr(" slices"));
  EXPECT_THAT(meshattn("plan " + problem).out, HasSubstr(" slices"));
}

TEST_F(Cli, CompareWithAGridSaysWhichTilesItDoesNotFit) {
  const ProgramRun run = meshattn("compare " + ideal(16, "--placement grid:2x4"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("mesh 8x2: not possible because grid 2x4 does not put the tile 8x2 on nodes of 8"));
  EXPECT_THAT(run.out, ContainsRegex("ring +1x16 +[0-9]"));  // the yardstick is linear
  const json rows = results("compare " + ideal(16, "--placement search")).at("rows");
  for (const json& row : rows) EXPECT_NE(row.contains("placed"), row.contains("not_possible")) << row;
}

/// Rows that are no further from the fastest than its prediction may be off are marked, in words and in JSON.
TEST_F(Cli, CompareSaysWhatIsTooCloseToTell) {
  const std::string problem =
      "compare --cluster dgx-h100 --gpus 256 --model llama-2-7b --seq 1M --mask causal --algorithm mesh";
  const json r = results(problem);
  double best = 1e9, most = 0;
  for (const json& row : r.at("rows"))
    if (row.at("makespan_s") < best) best = row.at("makespan_s"), most = row.at("range_s")[1];
  EXPECT_GT(most, best);
  int close = 0;
  for (const json& row : r.at("rows")) {
    EXPECT_EQ(row.at("within_range").get<bool>(), row.at("makespan_s").get<double>() <= most);
    close += row.at("within_range").get<bool>() ? 1 : 0;
  }
  EXPECT_GE(close, 2);  // 16×16 and 8×32
  EXPECT_LT(close, 9);
  EXPECT_THAT(meshattn(problem).out, ContainsRegex("\n~  mesh"));
}

}  // namespace
}  // namespace meshattn
