#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using nlohmann::json;

TEST_F(Cli, TraceHasOneTrackPerLaneOfEveryRank) {
  const ProgramRun run = meshattn("simulate " + ideal(16, "--tile 4x4 --trace t.json --trace-ranks 0-2,9"));
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(files(), std::set<std::string>{"t.json"});
  const json trace = json::parse(content("t.json"));
  std::map<std::pair<int, int>, double> free_from;  // by track
  std::set<int> processes;                          // rank + 1
  int tracks = 0;
  for (const json& event : trace.at("traceEvents")) {
    if (event.at("name") == "process_name") processes.insert(event.at("pid").get<int>());
    if (event.at("name") == "thread_name") ++tracks;
    if (event.at("ph") != "X") continue;
    double& busy = free_from[{event.at("pid").get<int>(), event.at("tid").get<int>()}];
    EXPECT_GE(event.at("ts").get<double>(), busy - 1e-9);  // ops of a lane follow one another
    busy = event.at("ts").get<double>() + event.at("dur").get<double>();
  }
  EXPECT_EQ(processes, (std::set<int>{1, 2, 3, 10}));
  EXPECT_EQ(tracks, static_cast<int>(free_from.size()));  // no track is empty
  EXPECT_GE(tracks, 2 * 4);
}

}  // namespace
}  // namespace meshattn
