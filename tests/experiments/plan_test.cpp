#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST_F(Cli, PlanProvesAndPrintsTheOrders) {
  const ProgramRun run = meshattn("plan " + ideal(16, "--tile 4x4 --text s.txt --json p.json"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("proved: every query attends each key"));
  EXPECT_TRUE(content("s.txt").starts_with("meshattn schedule"));
  const json plan = json::parse(content("p.json")).at("forward");
  EXPECT_EQ(plan.at("proved"), true);
  EXPECT_EQ(plan.at("exchanges_max"), 3 + 3 + 3);  // 3 hops each of KV, Q and O
  EXPECT_GE(plan.at("attends_max"), 3 + 3);        // what follows a hop of KV or Q needs it: no two are one kernel
  EXPECT_LE(plan.at("attends_max"), 4 * 4);        // blocks
  const json& t = plan.at("one_lane");
  EXPECT_LE(t.at("lower_bound_s").get<double>(), t.at("optimal_s").get<double>() * (1 + 1e-12));
  EXPECT_LE(t.at("optimal_s").get<double>(), t.at("greedy_s").get<double>() * (1 + 1e-12));
  EXPECT_LE(t.at("optimal_s").get<double>(), t.at("naive_s").get<double>() * (1 + 1e-12));
}

TEST_F(Cli, PlacementIsShownAndASearchedOneNamed) {
  const ProgramRun given = meshattn("plan " + ideal(16, "--tile 4x4 --placement grid:2x4"));
  EXPECT_EQ(given.status, 0) << given.err;
  EXPECT_THAT(given.out, HasSubstr("placement grid:2x4\n"));
  EXPECT_THAT(given.out, HasSubstr("mesh 4x4\n"));
  // Linear is 4x2: rows stay in a node, 3 hops of KV (2 chunks) cross at one rank in two. 2x4: columns stay, 3 hops of
  // Q and O in fp32 (1 + 2 chunks) cross at one rank in two.
  const json linear = results("simulate " + ideal(16, "--tile 4x4 --order optimal"));
  const json grid = results("simulate " + ideal(16, "--tile 4x4 --order optimal --placement grid:2x4"));
  const json searched = results("simulate " + ideal(16, "--tile 4x4 --order optimal --placement search"));
  EXPECT_DOUBLE_EQ(linear.at("volume").at("inter_node_chunks_avg").get<double>(), 3);
  EXPECT_DOUBLE_EQ(grid.at("volume").at("inter_node_chunks_avg").get<double>(), 4.5);
  EXPECT_EQ(linear.at("placement"), "linear");
  EXPECT_EQ(linear.at("placed"), "linear");
  EXPECT_EQ(grid.at("placed"), "grid:2x4");
  EXPECT_EQ(searched.at("placement"), "search");
  const double best = std::min(linear.at("makespan_s").get<double>(), grid.at("makespan_s").get<double>());
  EXPECT_LE(searched.at("makespan_s").get<double>(), 1.01 * best);
  EXPECT_THAT(meshattn("simulate " + ideal(16, "--tile 4x4 --placement search")).out,
              HasSubstr("mesh 4x4, placed " + searched.at("placed").get<std::string>()));
}

}  // namespace
}  // namespace meshattn
