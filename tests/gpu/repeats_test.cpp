#include "gpu/repeats.h"

#include <gtest/gtest.h>

#include "tests/gpu/schedules.h"

namespace meshattn {
namespace {

using testing::schedule_of;

Problem problem_of(Pass pass, int ranks) {
  return {{64, 64, 2, 4, 2, 8, Dtype::kFp32}, Mask::kCausal, Partition::kZigzag, pass, ranks};
}

TEST(Repeats, TheTraceIsThatOfTheMedianRepeat) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  std::vector<gpu::Repeat> seen;
  for (double seconds : {3.0, 9.0, 1.0, 7.0, 5.0}) {
    gpu::Repeat one{100, 100 + seconds, seconds / 2, {}, {}};
    one.trace = {std::vector<double>(s.ops.size(), 100), std::vector<double>(s.ops.size(), 100 + seconds), 0};
    seen.push_back(one);
  }
  const gpu::Job job = gpu::Job::alone(0);
  const gpu::RunResult result =
      gpu::gather_repeats(s, gpu::issue(s), seen, gpu::read_clock(job, gpu::deadline_in(1)), gpu::RunOptions{}, job);
  EXPECT_EQ(result.trace.makespan_s, 5);
  EXPECT_EQ(result.trace.start_s.front(), 0);
  EXPECT_EQ(result.makespans_s, (std::vector<double>{3, 9, 1, 7, 5}));
  EXPECT_EQ(result.issue_s, (std::vector<double>{1.5, 4.5, 0.5, 3.5, 2.5}));
}

/// The sum of the two greatest errors, each the maximum over the repeats; zero for one device and for the host alone.
TEST(RepeatsClocks, AreOffEachOtherByWhatBothAre) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const gpu::Job job = gpu::Job::alone(0);
  const auto uncertainty_s = [&](std::vector<double> first, std::vector<double> second) {
    std::vector<gpu::Repeat> seen;
    for (std::vector<double>* of_devices : {&first, &second})
      seen.push_back({0, 1, 0, {std::vector<double>(s.ops.size()), std::vector<double>(s.ops.size()), 0}, *of_devices});
    const gpu::ClockReading before = gpu::read_clock(job, gpu::deadline_in(1));
    return gpu::gather_repeats(s, gpu::issue(s), seen, before, gpu::RunOptions{}, job).clock_uncertainty_s;
  };
  EXPECT_DOUBLE_EQ(uncertainty_s({2e-6, 3e-6}, {1e-6, 4e-6}), 6e-6);
  EXPECT_DOUBLE_EQ(uncertainty_s({2e-6, 3e-6, 1e-6}, {1e-6, 1e-6, 1e-6}), 5e-6);
  EXPECT_EQ(uncertainty_s({5e-6}, {5e-6}), 0);
  EXPECT_EQ(uncertainty_s({}, {}), 0);
}

}  // namespace
}  // namespace meshattn
