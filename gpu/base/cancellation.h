#pragma once

#include <atomic>
#include <string>

#include "gpu/base/watchdog.h"

namespace meshattn::gpu {

/// Cancels the threads of one process, each of which serves a rank, when one of them fails. Each thread has a
/// Cancellation with a watchdog of its own, so that the time other threads take to clean up does not count. Construct
/// it before the resources whose release may block.
class Cancellation {
 public:
  /// @param failed whether any thread has failed; shared by all threads
  /// @param seconds that this thread may take to clean up
  explicit Cancellation(std::atomic<bool>& failed, double seconds = 10) : failed_(failed), watchdog_(seconds) {}

  /// Whether a thread has failed, so that nothing should wait any more.
  [[nodiscard]] bool is_requested() const { return failed_; }
  /// Tells all threads to stop and arms the watchdog. Call it before releasing resources.
  /// @param error the message of the watchdog; the first call counts
  void request(const std::string& error) {
    failed_ = true;
    watchdog_.arm(error);
  }

 private:
  std::atomic<bool>& failed_;
  Watchdog watchdog_;
};

/// The error of a rank that stops because another one has failed.
inline constexpr const char* kOtherFailed = "another rank of this process has failed";

}  // namespace meshattn::gpu
