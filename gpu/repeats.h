#pragma once

#include <span>
#include <vector>

#include "core/schedule/trace.h"
#include "gpu/base/deadline.h"
#include "gpu/base/watchdog.h"
#include "gpu/issue/issue.h"
#include "gpu/run.h"

namespace meshattn::gpu {

/// One repeat as some ranks of this process saw it, on this machine's clock.
struct Repeat {
  double begin_s = 0, end_s = 0;
  double issue_s = 0;  ///< from the begin until the host had issued all
  Trace trace;         ///< of these ranks' ops
  std::vector<double>
      clock_uncertainties_s;  ///< by device with a clock of its own: how far it may be off this machine's
};

/// Issues repeatedly to a device (`finish(Deadline)`, `read_times(Trace&)`, `clock_uncertainties_s()`), each
/// time after `prepare`.
/// @returns what was seen, but for the warm-ups
template <typename SomeDevice, typename Issue, typename Prepare>
[[nodiscard]] std::vector<Repeat> run_repeats(SomeDevice& device, const RunOptions& options, Issue&& issue,
                                              Prepare&& prepare) {
  std::vector<Repeat> all;
  for (int i = 0; i < options.warm_ups + options.repeats; ++i) {
    // Twice for `prepare`, once to finish: it has its own deadlines, but a call of a driver may not return.
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

/// The rank on a GPU. @throws InvalidInput if there is none.
[[nodiscard]] Rank rank_on(int gpu, int ranks, const RunOptions& options);
[[nodiscard]] int gpu_of(Rank rank, const RunOptions& options);
/// Programs of the ranks that this process serves. @throws InvalidInput if processes do not fit ranks or transport.
[[nodiscard]] std::vector<Program> served_programs(const Schedule& schedule, const RunOptions& options, const Job& job);

/// This machine's clock against that of process 0, when that was found. All processes must ask at once.
struct ClockReading {
  double at_s = 0;
  Job::ClockOffset offset;
};
[[nodiscard]] ClockReading read_clock(const Job& job, Deadline deadline);

/// What all processes saw, put together: everything of a RunResult but the outputs. Clocks drift apart evenly from
/// `before` to now.
[[nodiscard]] RunResult gather_repeats(const Schedule& schedule, std::span<const Program> programs,
                                       std::span<const Repeat> seen, const ClockReading& before,
                                       const RunOptions& options, const Job& job);

}  // namespace meshattn::gpu
