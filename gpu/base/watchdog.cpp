#include "gpu/base/watchdog.h"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace meshattn::gpu {

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    is_destroyed_ = true;
  }
  destroyed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::arm(const std::string& error) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this, error] { wait(error); });
}

void Watchdog::wait(const std::string& error) {
  std::unique_lock lock(mutex_);
  if (destroyed_.wait_for(lock, std::chrono::duration<double>(seconds_), [this] { return is_destroyed_; })) return;
  fmt::print(stderr, "meshattn: {}; cleaning up does not end, so the process ends now\n", error);
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace meshattn::gpu
