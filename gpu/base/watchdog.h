#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace meshattn::gpu {

/// For a device that may never answer again: giving back its memory then waits for ever, and the error that should be
/// told is not. Once armed, and if it is not destroyed in time, this says the error and ends the process with status 1.
/// To be made before anything that must be given back.
class Watchdog {
 public:
  explicit Watchdog(double seconds = 10) : seconds_(seconds) {}
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// From any thread; what is said is that of the first time.
  void arm(const std::string& error);

 private:
  void wait(const std::string& error);

  double seconds_;
  std::mutex mutex_;
  std::condition_variable left_;
  bool is_left_ = false;
  std::thread thread_;
};

}  // namespace meshattn::gpu
