#pragma once

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "gpu/base/cuda.h"
#include "gpu/deviation.h"
#include "gpu/job/environment_variables.h"
#include "gpu/run.h"

namespace meshattn::testing {

/// Tests that need a device.
class Cuda : public ::testing::Test {
 protected:
  /// Skips the test if there are fewer devices.
  static void need(int devices) {
    std::string why;
    int count = 0;
    gpu::set_default_variables();
    try {
      count = gpu::device_count();
    } catch (const InvalidInput& e) {
      why = fmt::format(": {}", e.what());
    }
    if (count >= devices) return;
    if (const char* required = std::getenv("MESHATTN_REQUIRE_GPU");
        required != nullptr && *required == '1' && count == 0)
      FAIL() << "MESHATTN_REQUIRE_GPU=1" << why;
    GTEST_SKIP() << "NOT TESTED, needs " << devices << (devices == 1 ? " GPU" : " GPUs") << why;
  }
  void SetUp() override { need(1); }
};

[[nodiscard]] inline gpu::RunOptions all_on_one(const Schedule& s, gpu::Kernels kernels) {
  gpu::RunOptions options;
  options.kernels = kernels;
  options.ranks_per_device = s.problem.ranks;
  options.warm_ups = 0;
  options.repeats = 1;
  return options;
}

/// The outputs of a schedule whose ranks share the first device.
[[nodiscard]] inline cpu::Tensors run_on_one(const Schedule& s, const cpu::Tensors& given, gpu::Kernels kernels) {
  return gpu::run(s, given, all_on_one(s, kernels), gpu::Job::alone(0)).outputs;
}

[[nodiscard]] inline std::vector<gpu::Deviation> deviations(const Schedule& s, const cpu::Tensors& is,
                                                            const cpu::Tensors& should) {
  return gpu::deviations(s, all_ranks(s.problem.ranks), is, should, gpu::Job::alone(0), gpu::deadline_in(1));
}

}  // namespace meshattn::testing
