// Tests repeats.h under `mpirun -n N repeats_program`, N > 1: each process serves the rank on its GPU, and the times of
// all are gathered on the clock of process 0.

#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "gpu/repeats.h"
#include "tests/gpu/schedules.h"

namespace {

using namespace meshattn;
using gpu::Job;

int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::cerr << "failed: " << what << '\n';
  ++failures;
}

Schedule ring_of(int ranks) {
  const std::int64_t tokens = 4L * ranks;
  return testing::schedule_of(
      {{tokens, tokens, 1, 1, 1, 8, Dtype::kFp32}, Mask::kFull, Partition::kContiguous, Pass::kForward, ranks}, "ring");
}

/// Rank r is on GPU r + 1 and the last rank on GPU 0, so that rank and GPU differ.
gpu::RunOptions options_for(int ranks) {
  gpu::RunOptions options;
  options.transport = gpu::Transport::kNccl;
  for (Rank rank = 0; rank < ranks; ++rank) options.gpu_of.push_back((rank + 1) % ranks);
  return options;
}

void check_programs(const Schedule& s, gpu::RunOptions options, Rank mine, const Job& job) {
  const std::vector<gpu::Program> programs = gpu::served_programs(s, options, job);
  expect(programs.size() == 1 && programs.front().rank == mine, "a process serves the rank on its GPU");
  const auto is_refused = [&](const Schedule& schedule) {
    try {
      (void)gpu::served_programs(schedule, options, job);
    } catch (const InvalidInput&) {
      return true;
    }
    return false;
  };
  expect(is_refused(ring_of(job.size() + 1)), "as many processes as ranks");
  options.transport = gpu::Transport::kCopies;
  expect(is_refused(s), "copies are within one process");
}

/// At the first reading the other clocks were a second behind process 0; now they are equal. In the middle, at the time
/// of the repeat, they are half a second behind. Each op takes a millisecond, and rank r begins r tenths of a second
/// after rank 0.
void check_times(const Schedule& s, gpu::RunOptions options, Rank mine, bool timed, const Job& job) {
  options.timed = timed;
  double middle_s = gpu::now_s() - 50;
  job.broadcast(std::as_writable_bytes(std::span(&middle_s, 1)), gpu::deadline_in(60));
  gpu::Repeat seen;
  seen.begin_s = middle_s;
  seen.end_s = middle_s + 1;
  seen.trace = {std::vector<double>(s.ops.size()), std::vector<double>(s.ops.size()), 0};
  for (OpId op = s.ops_begin(mine); op < s.ops_end(mine); ++op) {
    seen.trace.start_s[op] = middle_s + 0.1 * mine + 1e-3 * (op - s.ops_begin(mine));
    seen.trace.end_s[op] = seen.trace.start_s[op] + 1e-3;
  }
  const gpu::ClockReading before{middle_s - 50, {job.rank() == 0 ? 0.0 : 1.0, 0}};
  const gpu::RunResult result =
      gpu::gather_repeats(s, gpu::served_programs(s, options, job), std::span(&seen, 1), before, options, job);
  expect(result.served == std::vector<Rank>{mine}, "which rank was served");
  expect(job.rank() == 0 || result.trace.start_s.empty(), "process 0 has the trace");
  if (job.rank() != 0) return;
  expect(result.clock_uncertainty_s > 0 && result.clock_uncertainty_s < 0.1, "clocks are off each other by little");
  const auto near = [](double is, double should) { return std::abs(is - should) < 0.02; };
  if (!timed) return expect(near(result.trace.makespan_s, 1.5), "from the first host's begin to the last's end");
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    const double begin_s = rank == mine ? 0 : 0.5 + 0.1 * (rank - mine);
    expect(near(result.trace.start_s[s.ops_begin(rank)], begin_s), "when rank " + std::to_string(rank) + " began");
    expect(near(result.trace.end_s[s.ops_end(rank) - 1] - begin_s, 1e-3 * (s.ops_end(rank) - s.ops_begin(rank))),
           "and ended");
  }
}

}  // namespace

int main() {
  return gpu::in_job([](const Job& job) {
    const Schedule s = ring_of(job.size());
    const gpu::RunOptions options = options_for(job.size());
    const Rank mine = (job.rank() + job.size() - 1) % job.size();
    check_programs(s, options, mine, job);
    for (bool timed : {true, false}) check_times(s, options, mine, timed, job);
    if (failures > 0) throw DeviceError("some expectations failed");
    return 0;
  });
}
