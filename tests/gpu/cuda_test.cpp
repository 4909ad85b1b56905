// Tests that need a device. Skipped without one, unless MESHATTN_REQUIRE_GPU=1.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "gpu/job/environment_variables.h"
#include "gpu/kernels/value_conversion.h"
#include "tests/gpu/cuda_fixture.h"
#include "tests/gpu/schedules.h"
#include "tests/support/masks.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

using gpu::Job;
using gpu::Kernels;
using gpu::RunOptions;
using testing::all_on_one;
using testing::Cuda;
using testing::deviations;
using testing::run_on_one;
using testing::schedule_of;

/// NCCL reads it once per process. Needs no device.
TEST(EnvironmentVariables, AreSetUnlessTheUserHasSetThem) {
  unsetenv("NCCL_LAUNCH_ORDER_IMPLICIT");
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "7", 1);
  gpu::set_default_variables();
  EXPECT_STREQ(std::getenv("NCCL_LAUNCH_ORDER_IMPLICIT"), "1");
  EXPECT_STREQ(std::getenv("CUDA_DEVICE_MAX_CONNECTIONS"), "7");
  unsetenv("CUDA_DEVICE_MAX_CONNECTIONS");
  gpu::set_default_variables();
  EXPECT_STREQ(std::getenv("CUDA_DEVICE_MAX_CONNECTIONS"), "32");
}

/// Every algorithm and choice, the reference kernels in fp32, against dense attention in double on the CPU.
TEST_F(Cuda, EveryAlgorithmEndsAsDenseAttention) {
  for (int ranks : {2, 4, 8})
    for (const auto& [name, s] : testing::schedules_of(ranks, Dtype::kFp32)) {
      const cpu::Tensors dense = testing::dense_tensors(s.problem.shape, s.problem.mask);
      for (const gpu::Deviation& d : deviations(s, run_on_one(s, dense, Kernels::kReference), dense))
        EXPECT_LE(d.relative, 1e-5) << d.tensor << " of " << name;
    }
}

/// The same for windows, packed documents, cached prefixes and any partition.
TEST_F(Cuda, EveryMaskEndsAsDenseAttention) {
  std::mt19937 random(2);
  for (int i = 0; i < 50; ++i) {
    Problem p = testing::random_problem(random, 6);
    p.shape.dtype = Dtype::kFp32;
    const Schedule s = schedule_of(p, "ring");
    const cpu::Tensors dense = testing::dense_tensors(p.shape, p.mask);
    for (const gpu::Deviation& d : deviations(s, run_on_one(s, dense, Kernels::kReference), dense))
      EXPECT_TRUE(d.expects_zero || d.relative <= 1e-4)
          << d.relative << ' ' << d.tensor << " of " << testing::describe(p);
  }
}

/// Within the resolution of events, the ops of a lane follow each other and reuse waits hold.
TEST_F(Cuda, TimesObeyTheSchedule) {
  const Problem p{{4096, 4096, 1, 8, 2, 64, Dtype::kBf16}, Mask::kCausal, Partition::kZigzag, Pass::kForward, 4};
  const Schedule s = schedule_of(p, "mesh", {.tile = Tile{2, 2}});
  const cpu::Tensors given = gpu::rounded(p.shape, cpu::random_tensors(p.shape, 1));
  RunOptions options = all_on_one(s, Kernels::kFast);
  options.repeats = 3;
  const gpu::RunResult result = gpu::run(s, given, options, Job::alone(0));
  EXPECT_EQ(result.makespans_s.size(), 3u);
  constexpr double kResolution = 5e-6;  // events: 0.5 µs; the rest for the zero of each clock
  std::vector<double> lane_end(static_cast<std::size_t>(4 * s.lanes()));
  for (Rank rank = 0; rank < 4; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      double& before = lane_end[static_cast<std::size_t>(rank * s.lanes() + s.lane(s.ops[op]))];
      EXPECT_GE(result.trace.start_s[op], before - kResolution);
      EXPECT_GE(result.trace.end_s[op], result.trace.start_s[op] - kResolution);
      before = result.trace.end_s[op];
      for (const ReuseWait& wait : s.waits_of(op))
        EXPECT_GE(result.trace.start_s[op], result.trace.end_s[wait.after] - kResolution);
    }
}

/// 16 K queries × 16 K keys × 8 heads × 64 numbers by the reference kernels is 0.55 TFLOP, far more than 20 ms.
TEST_F(Cuda, ARunThatExceedsItsTimeoutEndsWithAnError) {
  const Problem p{{16384, 16384, 1, 8, 8, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 2};
  const Schedule s = schedule_of(p, "ring");
  RunOptions options = all_on_one(s, Kernels::kReference);
  options.timeout_s = 1e-3;
  try {
    (void)gpu::run(s, cpu::random_tensors(p.shape, 1), options, Job::alone(0));
    FAIL() << "ended";
  } catch (const DeviceError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("timed out; pending: rank 0 at op "));
    EXPECT_THAT(e.what(), ::testing::HasSubstr("rank 1 at op "));
  }
}

}  // namespace
}  // namespace meshattn
