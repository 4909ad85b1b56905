#include "gpu/device/cpu_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "gpu/deviation.h"
#include "gpu/issue/unfinished_ops.h"
#include "gpu/repeats.h"
#include "tests/gpu/schedules.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

using gpu::RunOptions;
using testing::schedule_of;

Problem problem_of(Pass pass, int ranks) {
  return {{64, 64, 2, 4, 2, 8, Dtype::kFp32}, Mask::kCausal, Partition::kZigzag, pass, ranks};
}

RunOptions on_cpu() {
  RunOptions options;
  options.backend = gpu::Backend::kCpu;
  options.warm_ups = 1;
  options.repeats = 3;
  return options;
}

/// The whole way, with threads: right numbers, to the bit the same in every run, and times that obey the schedule.
TEST(RunOnCpu, IsRightAndTimed) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Schedule s = schedule_of(problem_of(pass, 4), "mesh", {.tile = Tile{2, 2}});
    const cpu::Tensors dense = testing::dense_tensors(s.problem.shape, s.problem.mask);
    const gpu::Job job = gpu::Job::alone(0);
    const gpu::RunResult result = gpu::run(s, dense, on_cpu(), job);
    for (const gpu::Deviation& d : gpu::deviations(s, result.served, result.outputs, dense, job, gpu::deadline_in(1)))
      EXPECT_LE(d.relative, 1e-5) << d.tensor;
    const gpu::RunResult again = gpu::run(s, dense, on_cpu(), job);
    EXPECT_EQ(result.outputs.o, again.outputs.o);
    EXPECT_EQ(result.outputs.dq, again.outputs.dq);
    EXPECT_EQ(result.outputs.dk, again.outputs.dk);

    EXPECT_EQ(result.makespans_s.size(), 3u);
    const Trace& trace = result.trace;
    EXPECT_TRUE(std::ranges::count(result.makespans_s, trace.makespan_s) > 0);
    std::vector<double> lane_end(static_cast<std::size_t>(4 * s.lanes()));
    for (Rank rank = 0; rank < 4; ++rank)
      for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
        double& before = lane_end[static_cast<std::size_t>(rank * s.lanes() + s.lane(s.ops[op]))];
        EXPECT_GE(trace.start_s[op], before);
        EXPECT_GE(trace.end_s[op], trace.start_s[op]);
        EXPECT_LE(trace.end_s[op], trace.makespan_s);
        before = trace.end_s[op];
        for (const ReuseWait& wait : s.waits_of(op)) EXPECT_GE(trace.start_s[op], trace.end_s[wait.after]);
      }
  }
}

TEST(RunOnCpu, IsOneProcessWithCopies) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  RunOptions options = on_cpu();
  options.transport = gpu::Transport::kNccl;
  EXPECT_THROW((void)gpu::run(s, {}, options, gpu::Job::alone(0)), InvalidInput);
}

/// A stream that never comes to its end is given up, and what every rank is at is said.
TEST(CpuDevice, GivesUpAtTheDeadline) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const cpu::Tensors given = testing::dense_tensors(s.problem.shape, s.problem.mask);
  gpu::CpuDevice device(s, &given);
  device.wait(0, 0, {s.ops_end(0) - 1, gpu::Mark::Point::kEnd});
  try {
    device.finish(gpu::deadline_in(0.05));
    FAIL() << "ended";
  } catch (const DeviceError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("timed out; pending: rank 0 at op 0: "));
  }
}

/// Times of repeats: the trace is that of the median one.
TEST(RunOnCpu, TheTraceIsThatOfTheMedianRepeat) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  std::vector<gpu::Repeat> seen;
  for (double seconds : {3.0, 9.0, 1.0, 7.0, 5.0}) {
    gpu::Repeat one{100, 100 + seconds, seconds / 2, {}, {}};
    one.trace = {std::vector<double>(s.ops.size(), 100), std::vector<double>(s.ops.size(), 100 + seconds), 0};
    seen.push_back(one);
  }
  const gpu::Job job = gpu::Job::alone(0);
  const gpu::RunResult result =
      gpu::gather_repeats(s, gpu::issue(s), seen, gpu::read_clock(job, gpu::deadline_in(1)), on_cpu(), job);
  EXPECT_EQ(result.trace.makespan_s, 5);
  EXPECT_EQ(result.trace.start_s.front(), 0);
  EXPECT_EQ(result.makespans_s, (std::vector<double>{3, 9, 1, 7, 5}));
  EXPECT_EQ(result.issue_s, (std::vector<double>{1.5, 4.5, 0.5, 3.5, 2.5}));
}

/// Two devices, of which each is once at its furthest off; one alone is not off itself, nor is the host.
TEST(Clocks, AreOffEachOtherByWhatBothAre) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const gpu::Job job = gpu::Job::alone(0);
  const auto uncertainty_s = [&](std::vector<double> first, std::vector<double> second) {
    std::vector<gpu::Repeat> seen;
    for (std::vector<double>* of_devices : {&first, &second})
      seen.push_back({0, 1, 0, {std::vector<double>(s.ops.size()), std::vector<double>(s.ops.size()), 0}, *of_devices});
    const gpu::ClockReading before = gpu::read_clock(job, gpu::deadline_in(1));
    return gpu::gather_repeats(s, gpu::issue(s), seen, before, on_cpu(), job).clock_uncertainty_s;
  };
  EXPECT_DOUBLE_EQ(uncertainty_s({2e-6, 3e-6}, {1e-6, 4e-6}), 6e-6);
  EXPECT_DOUBLE_EQ(uncertainty_s({2e-6, 3e-6, 1e-6}, {1e-6, 1e-6, 1e-6}), 5e-6);
  EXPECT_EQ(uncertainty_s({5e-6}, {5e-6}), 0);
  EXPECT_EQ(uncertainty_s({}, {}), 0);
}

TEST(UnfinishedOps, IsTheFirstOpOfEachRankThatHasNotEnded) {
  const Schedule s = schedule_of(problem_of(Pass::kForward, 2), "ring");
  const std::vector<Rank> ranks{0, 1};
  const OpId second = s.ops_begin(1) + 1;
  const std::string text =
      gpu::unfinished_ops_text(s, ranks, [&](OpId op) { return op < s.ops_begin(1) || op < second; });
  EXPECT_THAT(text, ::testing::StartsWith("rank 1 at op 1: "));  // counted within its rank
  EXPECT_EQ(gpu::unfinished_ops_text(s, ranks, [](OpId) { return true; }), "nothing");
}

/// Where everything should be zero (each query sees itself alone: dQ), rounding is no error, and a number is.
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
