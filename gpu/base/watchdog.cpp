#include "gpu/base/watchdog.h"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace meshattn::gpu {

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    is_left_ = true;
  }
  left_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::arm(const std::string& error) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this, error] { wait(error); });
}

void Watchdog::wait(const std::string& error) {
  std::unique_lock lock(mutex_);
  if (left_.wait_for(lock, std::chrono::duration<double>(seconds_), [this] { return is_left_; })) return;
  fmt::print(stderr, "meshattn: {}; nor can it be left: ending at once\n", error);
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace meshattn::gpu
