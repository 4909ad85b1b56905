#include "core/cluster/measurement_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "core/cluster/cluster_file.h"
#include "tests/support/topology_folder.h"

namespace meshattn::testing {
namespace {

using ::testing::HasSubstr;

class MeasurementLines : public TopologyFolder {};

TEST_F(MeasurementLines, KernelsMayHaveTails) {
  const std::string gpu = with(kGpu, "[attention]\n", "sms = 132  # sheet\n[attention]\ntail = backward 2.1  # here\n");
  const Cluster c = read(kCluster, gpu);
  EXPECT_EQ(c.gpu.sms, 132);
  EXPECT_EQ(c.gpu.tail(Pass::kForward), 0.5);
  EXPECT_EQ(c.gpu.tail(Pass::kBackward), 2.1);
  const Cluster batched = read(kCluster, with(kGpu, "bf16 q", "bf16 batch 3 q"));
  EXPECT_EQ(batched.gpu.attention.front().batch, 3);
  EXPECT_EQ(batched.gpu.attention.front().q_tokens, 1024);
  for (auto [tail, wrong] : {std::pair{"backward", "write it as 'forward 2.1'"},
                             {"sideways 1", "unknown pass 'sideways'"},
                             {"backward -1", "from 0 to 1000 is possible"},
                             {"backward 2.1  # twice\ntail = backward 2", "a second tail of backward kernels"}})
    EXPECT_THAT(error_of(kCluster, with(gpu, "backward 2.1", tail)), HasSubstr(wrong)) << tail;
}

TEST_F(MeasurementLines, LargeMessagesMayTakeLongerToStart) {
  const auto text = [](std::string_view lines) {
    return with(kCluster, "startup_us = 2 ", fmt::format("{}startup_us = 2 ", lines));
  };
  const Cluster c = read(text("startup = 1e6 bytes 30 us  # here\nstartup = 1000 bytes 3 us  # here\n"), kGpu);
  ASSERT_EQ(c.node.link_startups.size(), 2u);
  EXPECT_DOUBLE_EQ(c.node.link_startups[0].bytes, 1000);
  EXPECT_DOUBLE_EQ(c.node.link_startups[1].seconds, 30e-6);
  EXPECT_EQ(c.figures.at("link.startup 1e6 bytes 30 us").source, "here");
  for (const char* startup : {"1e6 bytes 30", "1e6 B 30 us", "0 bytes 30 us", "1e6 bytes nan us", "1e6 bytes 1e99 us"})
    EXPECT_THAT(error_of(text(fmt::format("startup = {}  # x\n", startup)), kGpu),
                ::testing::StartsWith((directory_ / "clusters/c.ini").string() + ":9: "))
        << startup;
  EXPECT_THAT(error_of(text("startup = 1e6 bytes 3 us # a\nstartup = 1000000 bytes 4 us # b\n"), kGpu),
              HasSubstr(":10: a second start-up of messages of 1000000 bytes"));
}

}  // namespace
}  // namespace meshattn::testing
