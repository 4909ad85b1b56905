#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/cluster/cluster_file.h"

namespace meshattn::testing {

inline constexpr std::string_view kGpu =
    "[gpu]\n"
    "memory_GB = 80  # sheet\n"
    "hbm_GBps = 3000 # sheet\n"
    "combine_efficiency = 0.5 # assumed: a guess\n"
    "launch_us = 4   # here\n"
    "[attention]\n"
    "point = forward full bf16 q 1024 kv 4096 heads 64/8 dim 128 500 TFLOPs # paper\n";

inline constexpr std::string_view kCluster =
    "# a cluster\n"
    "[cluster]\n"
    "gpu = g\n"
    "[node]\n"
    "gpus = 8             # sheet\n"
    "[link]\n"
    "bandwidth_GBps = 100 # sheet\n"
    "efficiency = 0.5     # https://example.org/#measured\n"
    "startup_us = 2       # assumed: as elsewhere\n";

inline constexpr std::string_view kNic =
    "[nic]\n"
    "bandwidth_GBps = 50  # sheet\n"
    "efficiency = 0.9     # sheet\n"
    "startup_us = 0       # definition\n";

/// A copy of `text` with its first `from` replaced by `to`.
inline std::string with(std::string_view text, std::string_view from, std::string_view to) {
  std::string changed(text);
  const std::size_t at = changed.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return changed.replace(at, from.size(), to);
}

/// A temporary folder of topologies with one cluster, "c", and one GPU profile, "g".
class TopologyFolder : public ::testing::Test {
 protected:
  TopologyFolder() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = std::filesystem::path(::testing::TempDir()) / (std::string("meshattn_") + info->name());
    std::filesystem::create_directories(directory_ / "clusters");
    std::filesystem::create_directories(directory_ / "gpus");
  }
  ~TopologyFolder() override { std::filesystem::remove_all(directory_); }

  Cluster read(std::string_view cluster, std::string_view gpu, const std::vector<std::string>& settings = {}) {
    std::ofstream(directory_ / "clusters/c.ini", std::ios::binary) << cluster;
    std::ofstream(directory_ / "gpus/g.ini", std::ios::binary) << gpu;
    return read_cluster("c", directory_, settings);
  }
  std::string error_of(std::string_view cluster, std::string_view gpu, const std::vector<std::string>& settings = {}) {
    try {
      (void)read(cluster, gpu, settings);
    } catch (const InvalidInput& error) {
      return error.what();
    }
    return "no error";
  }

  std::filesystem::path directory_;
};

}  // namespace meshattn::testing
