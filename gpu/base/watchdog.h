#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace meshattn::gpu {

/// Ends the process if cleaning up after an error hangs: freeing the memory of a device that never answers again blocks
/// for ever, and the error would not be reported. Once armed, a watchdog that is not destroyed in time prints the error
/// and exits with status 1. Construct it before the resources whose release may block.
class Watchdog {
 public:
  /// @param seconds from arm() until the process ends
  explicit Watchdog(double seconds = 10) : seconds_(seconds) {}
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Starts the time. Only the first call counts. Any thread may call it.
  /// @param error the message if the time runs out
  void arm(const std::string& error);

 private:
  void wait(const std::string& error);

  double seconds_;
  std::mutex mutex_;
  std::condition_variable destroyed_;
  bool is_destroyed_ = false;
  std::thread thread_;
};

}  // namespace meshattn::gpu
