#include "core/report/chrome_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/core/report/ring_of_two.h"

namespace meshattn {
namespace {

using ::testing::ElementsAre;
using testing::kTrace;
using testing::ring_of_two;
using testing::two_gpus;

TEST(ChromeTrace, HasATrackPerLaneAndAnEventPerOp) {
  const Schedule schedule = ring_of_two();
  const std::vector<Rank> ranks{0, 1};
  std::ostringstream out;
  write_chrome_trace(out, schedule, Network(two_gpus(), 2), kTrace, ranks);
  const auto json = nlohmann::json::parse(out.str());
  std::vector<std::string> names;
  int tracks = 0;
  for (const auto& event : json.at("traceEvents")) {
    if (event.at("name") == "thread_name") ++tracks;
    if (event.at("ph") != "X" || event.at("pid") != 1) continue;
    names.push_back(event.at("name"));
    EXPECT_EQ(event.at("tid"), event.at("args").at("op") == 1 ? 2 : 1);
  }
  EXPECT_EQ(tracks, 4);  // 2 ranks × (compute, communication)
  EXPECT_THAT(names, ElementsAre("attend 1x1 blocks", "exchange KV 64 B to 1 from 1", "attend 1x1 blocks"));
}

}  // namespace
}  // namespace meshattn
