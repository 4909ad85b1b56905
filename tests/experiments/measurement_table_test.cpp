#include "experiments/measure/measurement_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "core/base/median.h"

namespace meshattn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MeasurementTable : public ::testing::Test {
 protected:
  MeasurementTable()
      : path_(std::filesystem::temp_directory_path() / ("meshattn_published_" + std::to_string(getpid()))) {}
  ~MeasurementTable() override { std::filesystem::remove(path_); }

  std::vector<MeasurementRow> read(const std::string& text) const {
    std::ofstream(path_) << text;
    return read_measurement_table(path_.string());
  }
  std::string refusal(const std::string& text) const {
    try {
      (void)read(text);
    } catch (const InvalidInput& e) {
      return e.what();
    }
    return "accepted";
  }

  const std::string heading_ = "block,name,value,unit,options,source\n";
  std::filesystem::path path_;
};

/// 40 iterations a second are 25 ms each.
TEST_F(MeasurementTable, RowsAreTimesWithOptionsAndASource) {
  const auto rows =
      read("# a remark\n\n" + heading_ + "f,ring,40,iter/s,--gpus 8 --seq 64K,\"a, b\"\nf,mesh,7.5,ms,--x y,c\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_DOUBLE_EQ(rows[0].seconds, 0.025);
  EXPECT_THAT(rows[0].runs, ElementsAre(ElementsAre("--gpus", "8", "--seq", "64K")));
  EXPECT_EQ(rows[0].source, "a, b");
  EXPECT_THAT(rows[0].where, HasSubstr(":4"));
  EXPECT_DOUBLE_EQ(rows[1].seconds, 7.5e-3);
}

TEST_F(MeasurementTable, RunsThatTookTurnsHaveTheirOwnOptions) {
  const auto rows = read(heading_ + "f,ring,40,iter/s,--gpus 8 ; --gpus 4 --seq 1K,s\n");
  EXPECT_THAT(rows[0].runs, ElementsAre(ElementsAre("--gpus", "8"), ElementsAre("--gpus", "4", "--seq", "1K")));
}

TEST_F(MeasurementTable, ErrorsNameTheLine) {
  EXPECT_THAT(refusal(heading_ + "f,ring,40,iter/s,--x ; ,s\n"), HasSubstr(":2: name, options and source"));
  EXPECT_THAT(refusal(""), HasSubstr("no rows"));
  EXPECT_THAT(refusal("block,name\n"), HasSubstr(":1: the heading must be block,name,value"));
  EXPECT_THAT(refusal(heading_ + "f,ring,40,iter/s,--x\n"), HasSubstr(":2: 5 fields, not 6"));
  EXPECT_THAT(refusal(heading_ + "f,ring,40,Hz,--x,s\n"), HasSubstr(":2: unknown unit 'Hz': possible are ms, iter/s"));
  EXPECT_THAT(refusal(heading_ + "f,ring,fast,ms,--x,s\n"), HasSubstr(":2: value"));
  EXPECT_THAT(refusal(heading_ + "f,ring,0,ms,--x,s\n"), HasSubstr("not above zero"));
  EXPECT_THAT(refusal(heading_ + "f,ring,1e-320,iter/s,--x,s\n"), HasSubstr("from 1e-9 to 1e9 is possible"));
  EXPECT_THAT(refusal(heading_ + "f,ring,1e300,ms,--x,s\n"), HasSubstr("from 1e-9 to 1e9 is possible"));
  EXPECT_THAT(refusal(heading_ + "f,ring,1,ms,--x,\n"), HasSubstr("must not be empty"));
  EXPECT_THAT(refusal(heading_ + "f,ring,1,ms,--x,\\s\n"), HasSubstr(":2: a backslash"));
  EXPECT_THAT(refusal(heading_ + "f,ring,1,ms,--x,\"s\n"), HasSubstr(":2: a quote that is not closed"));
  EXPECT_EQ(refusal("block,name,value,unit,options,source\r\nf,ring,1,ms,--x,s\r\n"), "accepted");
  EXPECT_THROW((void)read_measurement_table("/nowhere/table.csv"), InvalidInput);
}

/// Same order 1, opposite −1. One swap of four: 1 − 6·2 / (4·15) = 0.8. Ties share their mean rank: 1, 2.5, 2.5, 4
/// against 1, 2, 3, 4: 4.5 / √(4.5 · 5).
TEST(RankCorrelation, IsSpearmans) {
  const auto of = [](std::vector<double> a, std::vector<double> b) { return rank_correlation(a, b); };
  EXPECT_DOUBLE_EQ(of({1, 2, 3}, {10, 20, 90}).value(), 1);
  EXPECT_DOUBLE_EQ(of({1, 2, 3}, {3, 2, 1}).value(), -1);
  EXPECT_DOUBLE_EQ(of({1, 2, 3, 4}, {1, 3, 2, 4}).value(), 0.8);
  EXPECT_DOUBLE_EQ(of({1, 2, 2, 4}, {1, 2, 3, 4}).value(), 4.5 / std::sqrt(4.5 * 5));
  EXPECT_FALSE(of({1}, {2}));
  EXPECT_FALSE(of({1, 2}, {3, 3}));  // equal predictions have no order
}

TEST(Median, IsTheMiddleOne) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
}

}  // namespace
}  // namespace meshattn
