#pragma once

#include <vector>

namespace meshattn {

/// How long the compute ops of a schedule take on their own, by op; an Exchange has no time of its own (0).
struct OpTimes {
  std::vector<double> seconds;
  /// Seconds from an op's start until all tiles of its kernel are on SMs, before which no exchange of its rank starts;
  /// empty where exchanges wait for no kernel.
  std::vector<double> placed_s;

  /// Whether exchanges wait for kernels.
  [[nodiscard]] bool are_late() const { return !placed_s.empty(); }
};

}  // namespace meshattn
