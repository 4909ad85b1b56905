#include "gpu/run.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "gpu/deviation.h"
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

/// Results are right and bitwise repeatable, and times obey the schedule.
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

}  // namespace
}  // namespace meshattn
