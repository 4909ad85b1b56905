#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/cli_fixture.h"

namespace meshattn {
namespace {

using testing::HasSubstr;

TEST_F(Cli, TopologyShowsEveryClusterWithItsSources) {
  const ProgramRun list = meshattn("topology");
  EXPECT_EQ(list.status, 0);
  for (const char* name : {"dgx-a100", "dgx-h100", "dgx-h200", "ideal-8x50"}) {
    EXPECT_THAT(list.out, HasSubstr(name));
    const ProgramRun one = meshattn(fmt::format("topology --cluster {} --gpus 16", name));
    EXPECT_EQ(one.status, 0) << one.err;
    for (const char* what : {"GPU 7", "NIC", "16 GPUs", "on 2 nodes of 8", "nic.bandwidth_GBps", "source"})
      EXPECT_THAT(one.out, HasSubstr(what)) << name;
  }
  const std::string set = meshattn("topology --cluster dgx-h100 --set link.startup_us=19.7 --set fabric.paths=32").out;
  for (const char* what : {"set for this run", "19.700 us to start a message, 80.000 us one of 15.80 MB or more",
                           "a message takes one of 32 spines"})
    EXPECT_THAT(set, HasSubstr(what));
}

}  // namespace
}  // namespace meshattn
