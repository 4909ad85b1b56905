#pragma once

#include <atomic>
#include <string>

#include "gpu/base/watchdog.h"

namespace meshattn::gpu {

/// How one thread of several, each of which serves a rank, leaves when something has failed: the others see it and
/// leave too, each with a last resort of its own. To be made before anything that must be given back, and to be
/// destroyed once that is: what others take to leave is not counted.
class Cancellation {
 public:
  /// @param failed whether any of the threads has failed; theirs together
  explicit Cancellation(std::atomic<bool>& failed, double seconds = 10) : failed_(failed), watchdog_(seconds) {}

  /// Nothing is to be waited for any more.
  [[nodiscard]] bool is_requested() const { return failed_; }
  /// Overlap anything is given back; what the last resort would say is the error of the first time.
  void request(const std::string& error) {
    failed_ = true;
    watchdog_.arm(error);
  }

 private:
  std::atomic<bool>& failed_;
  Watchdog watchdog_;
};

/// The error of who leaves because another did.
inline constexpr const char* kOtherFailed = "another rank of this process has failed";

}  // namespace meshattn::gpu
