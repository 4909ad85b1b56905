#pragma once

#include <span>
#include <vector>

#include "core/schedule/trace.h"
#include "gpu/base/deadline.h"
#include "gpu/base/watchdog.h"
#include "gpu/issue/issue.h"
#include "gpu/run.h"

namespace meshattn::gpu {

/// The times of one repeat for some ranks of this process, on this machine's clock.
struct Repeat {
  double begin_s = 0, end_s = 0;
  double issue_s = 0;  ///< the time in which the host issues all commands
  Trace trace;         ///< of these ranks' ops
  /// The greatest error of each clock against this machine's; one for each device with a clock of its own.
  std::vector<double> clock_uncertainties_s;
};

/// Calls `prepare` and `issue` for each warm-up and repeat and waits for the device, which has `finish(Deadline)`,
/// `read_times(Trace&)` and `clock_uncertainties_s()`.
/// @returns the times of the repeats
template <typename SomeDevice, typename Issue, typename Prepare>
[[nodiscard]] std::vector<Repeat> run_repeats(SomeDevice& device, const RunOptions& options, Issue&& issue,
                                              Prepare&& prepare) {
  std::vector<Repeat> all;
  for (int i = 0; i < options.warm_ups + options.repeats; ++i) {
    // prepare() waits twice and finish() once, with deadlines of their own; but a call of the driver may never return.
    Watchdog watchdog(3 * options.timeout_s + 10);
    watchdog.arm("timed out in a call that does not return");
    prepare();
    Repeat seen;
    seen.begin_s = now_s();
    issue();
    seen.issue_s = now_s() - seen.begin_s;
    device.finish(deadline_in(options.timeout_s));
    seen.end_s = now_s();
    if (options.timed) {
      device.read_times(seen.trace);
      seen.clock_uncertainties_s = device.clock_uncertainties_s();
    }
    if (i >= options.warm_ups) all.push_back(std::move(seen));
  }
  return all;
}

/// The rank on a GPU. @throws InvalidInput if there is none
[[nodiscard]] Rank rank_on(int gpu, int ranks, const RunOptions& options);
[[nodiscard]] int gpu_of(Rank rank, const RunOptions& options);
/// The programs of the ranks that this process serves.
/// @throws InvalidInput if several processes do not match the ranks or the transport
[[nodiscard]] std::vector<Program> served_programs(const Schedule& schedule, const RunOptions& options, const Job& job);

/// The offset of this process's clock to the clock of process 0, and the time at which it was measured.
struct ClockReading {
  double at_s = 0;
  Job::ClockOffset offset;
};
/// Measures the offset. All processes must call it at the same time.
[[nodiscard]] ClockReading read_clock(const Job& job, Deadline deadline);

/// Gathers the repeats of all processes into a RunResult without outputs. The drift between clocks since `before` is
/// taken as linear.
[[nodiscard]] RunResult gather_repeats(const Schedule& schedule, std::span<const Program> programs,
                                       std::span<const Repeat> seen, const ClockReading& before,
                                       const RunOptions& options, const Job& job);

}  // namespace meshattn::gpu
