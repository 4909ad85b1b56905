#pragma once

#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// Times of a schedule's compute ops on GPUs that do nothing else, and of the hosts that issue them. Seconds, by op.
struct OpTimes {
  /// Duration on the compute lane; 0 for an Exchange, whose time is the network's.
  std::vector<double> seconds;
  /// Time from the start of an op to the last wave of its kernel, when all its thread blocks are on SMs: no exchange of
  /// the rank starts before. Empty if exchanges do not wait for kernels.
  std::vector<double> last_wave_s;
  /// Time from the start of the schedule at which the rank's host begins to issue an op: it does not start before.
  /// Empty if hosts are never late.
  std::vector<double> issued_s;
  double host_s = 0;  ///< host time to issue one compute op, its last kernel at the end

  /// Fills `issued_s`: hosts issue one op after the other, each compute op in this time and an exchange in no time.
  void set_issue_times(const Schedule& schedule, double host_s_per_op);

  [[nodiscard]] bool exchanges_wait_for_kernels() const { return !last_wave_s.empty(); }
  /// When the host has issued the last kernel of a compute op, which does not end before; 0 if hosts are never late.
  [[nodiscard]] double earliest_end_s(OpId op) const { return issued_s.empty() ? 0 : issued_s[op] + host_s; }
};

}  // namespace meshattn
