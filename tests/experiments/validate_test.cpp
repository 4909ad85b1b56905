#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;

/// Two rows 10 % slower than simulated with the same options: the error is 1 / 1.1 − 1.
TEST_F(Cli, ValidateComparesWithSimulate) {
  const std::string options = ideal(8, "--algorithm ring --pass both");
  const double seconds = results("simulate " + options).at("makespan_s");
  const auto write = [&](const std::string& row_options) {
    std::ofstream(folder_ / "table.csv") << fmt::format(
        "block,name,value,unit,options,source\nways,ring,{:.9f},ms,{},here\nways,again,{:.9f},iter/s,{},here\n",
        1.1e3 * seconds, row_options, 1 / (1.1 * seconds), row_options);
  };
  write(options);
  const json r = results("validate --table table.csv");
  ASSERT_EQ(r.at("rows").size(), 2u);
  EXPECT_DOUBLE_EQ(r.at("rows")[0].at("predicted_s").get<double>(), seconds);
  for (const json& row : r.at("rows")) EXPECT_NEAR(row.at("error").get<double>(), 1 / 1.1 - 1, 1e-6);
  for (const json& errors : {r.at("blocks").at("ways"), r.at("all")}) {
    EXPECT_EQ(errors.at("rows"), 2);
    EXPECT_NEAR(errors.at("median_error").get<double>(), 1 - 1 / 1.1, 1e-6);
    EXPECT_FALSE(errors.contains("rank_correlation"));  // both took the same time
    EXPECT_EQ(errors.at("within_range"), 0);            // the ideal cluster has no uncertainty
  }
  const std::string text = meshattn("validate --table table.csv").out;
  EXPECT_THAT(text, ContainsRegex("ways +2 +9.1 % +9.1 % +0 of 2 +-\n"));
  EXPECT_THAT(text, ContainsRegex("all +2 +9.1 % +9.1 % +0 of 2 +-\n"));
  write(options + " --json x.json");
  EXPECT_THAT(meshattn("validate --table table.csv").err, HasSubstr("table.csv:2: --json has no place in a table"));
  write(options + " --tile 3x3");
  const ProgramRun wrong = meshattn("validate --table table.csv");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("table.csv:2: "));
}

/// A prediction on dgx-a100 has a range: a row 2 % below it is within, twice the time is not. Three rows of one block,
/// the last two in the opposite order.
TEST_F(Cli, ValidateCountsRowsInTheRangeAndComparesTheOrder) {
  const auto options = [](const char* seq) {
    return fmt::format("--cluster dgx-a100 --gpus 8 --heads 32 --head-dim 128 --algorithm ring --seq {}", seq);
  };
  const auto seconds = [&](const char* seq) {
    return results("simulate " + options(seq)).at("makespan_s").get<double>();
  };
  std::ofstream(folder_ / "table.csv") << fmt::format(
      "block,name,value,unit,options,source\na,short,{:.9f},ms,{},here\na,middle,{:.9f},ms,{},here\n"
      "a,long,{:.9f},ms,{},here\n",
      0.98e3 * seconds("16K"), options("16K"), 2e3 * seconds("64K"), options("32K"), 1e3 * seconds("32K"),
      options("64K"));
  const json r = results("validate --table table.csv");
  EXPECT_EQ(r.at("all").at("within_range"), 1);
  EXPECT_DOUBLE_EQ(r.at("blocks").at("a").at("rank_correlation").get<double>(), 0.5);  // 1 − 6 (1 + 1) / (3 · 8)
  for (const json& row : r.at("rows")) {
    EXPECT_LT(row.at("range_s")[0].get<double>(), row.at("predicted_s").get<double>());
    EXPECT_GT(row.at("range_s")[1].get<double>(), row.at("predicted_s").get<double>());
  }
}

}  // namespace
}  // namespace meshattn
