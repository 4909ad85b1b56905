#include "core/cluster/gpu_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <fstream>

#include "core/base/error.h"
#include "core/cluster/cluster_file.h"
#include "tests/support/topology_folder.h"

namespace meshattn::testing {
namespace {

using ::testing::HasSubstr;

class GpuFile : public TopologyFolder {};

TEST_F(GpuFile, AFrameworkIsAFileOfItsOwn) {
  std::filesystem::create_directories(directory_ / "frameworks");
  std::ofstream(directory_ / "frameworks/f.ini") << "[framework]\nmerge_bytes = 38 # counted\nhost_us = 20 # here\n";
  (void)read(kCluster, kGpu);
  const std::vector<std::string> settings{"framework.part_bytes=8"};
  const Cluster c = read_cluster("c", directory_, settings, "f");
  EXPECT_EQ(c.gpu.framework.merge_bytes, 38);
  EXPECT_EQ(c.gpu.framework.gradient_bytes, 12);
  EXPECT_EQ(c.gpu.framework.part_bytes, 8);
  EXPECT_DOUBLE_EQ(c.gpu.framework.host_s, 20e-6);
  EXPECT_EQ(c.figures.at("framework.merge_bytes").source, "counted");
  EXPECT_EQ(read(kCluster, kGpu, {"framework.merge_bytes=20"}).gpu.framework.merge_bytes, 20);
  EXPECT_FALSE(c.gpu.framework.late_exchanges);
  EXPECT_FALSE(c.figures.contains("attention.point"));
  EXPECT_FALSE(c.figures.contains("fabric.kind"));  // the file has no source for it
  EXPECT_FALSE(c.figures.contains("cluster.gpu"));  // a name, nothing that a prediction could be off by
  EXPECT_FALSE(read(kCluster, kGpu, {"framework.exchanges=early"}).gpu.framework.late_exchanges);
  const Cluster late = read(kCluster, kGpu, {"framework.exchanges=late"});
  EXPECT_TRUE(late.gpu.framework.late_exchanges);
  EXPECT_EQ(late.figures.at("framework.exchanges").value, "late");
  EXPECT_THAT(error_of(kCluster, kGpu, {"framework.exchanges=never"}),
              HasSubstr("unknown exchanges of framework 'never': possible are early, late"));
  EXPECT_THROW((void)read_cluster("c", directory_, {}, "g"), InvalidInput);
}

}  // namespace
}  // namespace meshattn::testing
