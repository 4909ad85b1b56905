#include "gpu/base/watchdog.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace meshattn::gpu {
namespace {

TEST(Watchdog, DoesNothingIfItIsDestroyedInTime) {
  Watchdog unarmed(0.01), armed(3600);
  armed.arm("stuck");
  armed.arm("again");
}

TEST(WatchdogDeathTest, EndsTheProcessWithTheFirstError) {
  EXPECT_EXIT(
      {
        Watchdog watchdog(0.05);
        watchdog.arm("rank 3 is stuck");
        watchdog.arm("rank 4 is stuck");
        std::this_thread::sleep_for(std::chrono::seconds(30));  // a device that does not answer
      },
      ::testing::ExitedWithCode(1), "meshattn: rank 3 is stuck; cleaning up does not end");
}

}  // namespace
}  // namespace meshattn::gpu
