#include "gpu/deviation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/gpu/schedules.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

using testing::schedule_of;

Problem problem_of(Pass pass, int ranks) {
  return {{64, 64, 2, 4, 2, 8, Dtype::kFp32}, Mask::kCausal, Partition::kZigzag, pass, ranks};
}

/// If the expected result is zero (dQ if each query sees only itself), a rounding error is small and a number is not.
TEST(Deviations, OfNothingAreMeasuredByMillionths) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const std::vector<Rank> both{0, 1};
  const gpu::Job job = gpu::Job::alone(0);
  cpu::Tensors zero = testing::dense_tensors(s.problem.shape, s.problem.mask);
  for (double& x : zero.o) x = 0;
  EXPECT_EQ(gpu::deviations(s, both, zero, zero, job, gpu::deadline_in(1)).front().relative, 0);
  cpu::Tensors off = zero;
  for (double& x : off.o) x = 1e-9;
  EXPECT_NEAR(gpu::deviations(s, both, off, zero, job, gpu::deadline_in(1)).front().relative, 1e-3, 1e-9);
  off.o.front() = 1;
  const gpu::Deviation far = gpu::deviations(s, both, off, zero, job, gpu::deadline_in(1)).front();
  EXPECT_GT(far.relative, 100);
  EXPECT_TRUE(far.expects_zero);
}

TEST(Deviations, AreRelativeAndOfWhatIsServed) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const cpu::Tensors dense = testing::dense_tensors(s.problem.shape, s.problem.mask);
  const std::vector<Rank> both{0, 1};
  const gpu::Job job = gpu::Job::alone(0);
  cpu::Tensors off = dense;
  for (double& x : off.o) x *= 1.01;
  const gpu::Deviation percent = gpu::deviations(s, both, off, dense, job, gpu::deadline_in(1)).front();
  EXPECT_NEAR(percent.relative, 0.01, 1e-12);
  EXPECT_FALSE(percent.expects_zero);
  off.o.front() = std::nan("");
  EXPECT_TRUE(std::isinf(gpu::deviations(s, both, off, dense, job, gpu::deadline_in(1)).front().relative));
  off.o.clear();
  EXPECT_TRUE(std::isinf(gpu::deviations(s, both, off, dense, job, gpu::deadline_in(1)).front().relative));
}

}  // namespace
}  // namespace meshattn
