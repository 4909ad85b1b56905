#include "core/execution/cpu/executor.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/execution/cpu/machine.h"
#include "core/execution/cpu/progress.h"
#include "core/execution/cpu/single_thread.h"
#include "core/execution/cpu/thread_per_lane.h"

namespace meshattn::cpu {

namespace {

void check_memory(const Schedule& s) {
  if (s.offset.size() != s.values.size())
    throw InvalidSchedule(fmt::format("{} of {} values have an offset", s.offset.size(), s.values.size()));
  for (ValueId v = 0; v < s.values.size(); ++v) {
    if (s.offset[v] % kBytesPerNumber != 0)
      throw InvalidSchedule(fmt::format("value {} is at the odd byte {}", v, s.offset[v]));
    if (s.offset[v] > s.peak_bytes || s.bytes(v) > s.peak_bytes - s.offset[v])
      throw InvalidSchedule(fmt::format("value {} of {} bytes at byte {} does not fit an arena of {}", v, s.bytes(v),
                                        s.offset[v], s.peak_bytes));
  }
}

template <typename T>
Tensors run_as(const Schedule& schedule, const Tensors& given, Threading threading) {
  Machine<T> machine(schedule, given);
  std::vector<LaneProgress> lanes = lanes_of(schedule);
  if (threading == Threading::kSingle)
    SingleThread<T>(schedule, machine, lanes).run();
  else
    ThreadPerLane<T>(schedule, machine, lanes).run();
  if (!std::ranges::all_of(lanes, &LaneProgress::done)) throw InvalidSchedule(describe_deadlock(lanes));
  return machine.outputs();
}

}  // namespace

Tensors run(const Schedule& schedule, const Tensors& given, Precision precision, Threading threading) {
  check_memory(schedule);
  return precision == Precision::kFp32 ? run_as<float>(schedule, given, threading)
                                       : run_as<double>(schedule, given, threading);
}

}  // namespace meshattn::cpu
