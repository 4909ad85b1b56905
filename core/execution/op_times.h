#pragma once

#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// How long the compute ops of a schedule take on their own, by op; an Exchange has no time of its own (0).
struct OpTimes {
  std::vector<double> seconds;
  /// Seconds from an op's start until all tiles of its kernel are on SMs, before which no exchange of its rank starts;
  /// empty where exchanges wait for no kernel.
  std::vector<double> last_wave_s;
  /// Seconds from the beginning until a rank's host begins to issue an op, before which it does not start; empty where
  /// hosts are never late.
  std::vector<double> issued_s;
  double host_s = 0;  ///< that a host needs to issue a compute op, with its last kernel at the end

  /// Hosts need so long for each compute op, and issue one op after the other.
  void set_issue_times(const Schedule& schedule, double seconds_an_op);

  /// Whether exchanges wait for kernels.
  [[nodiscard]] bool exchanges_wait_for_kernels() const { return !last_wave_s.empty(); }
  /// When the host has issued all of a compute op, before which it does not end.
  [[nodiscard]] double earliest_end_s(OpId op) const { return issued_s.empty() ? 0 : issued_s[op] + host_s; }
};

}  // namespace meshattn
