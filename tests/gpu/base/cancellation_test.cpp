#include "gpu/base/cancellation.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace meshattn::gpu {
namespace {

/// The first thread fails and ends at once. The second one notices and takes longer to end than a watchdog allows; its
/// own watchdog starts only when it requests the cancellation, too.
TEST(Cancellation, OfOneThreadDoesNotLimitTheTimeOfOthers) {
  std::atomic<bool> failed = false;
  std::jthread second([&] {
    Cancellation cancellation(failed, 0.02);
    while (!cancellation.is_requested()) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    cancellation.request("the first has failed");
  });
  std::jthread first([&] {
    Cancellation cancellation(failed, 0.02);
    EXPECT_FALSE(cancellation.is_requested());
    cancellation.request("stuck");
  });
}

TEST(CancellationDeathTest, HasAWatchdog) {
  EXPECT_EXIT(
      {
        std::atomic<bool> failed = false;
        Cancellation cancellation(failed, 0.05);
        cancellation.request("rank 3 is stuck");
        std::this_thread::sleep_for(std::chrono::seconds(30));
      },
      ::testing::ExitedWithCode(1), "rank 3 is stuck; cleaning up does not end");
}

}  // namespace
}  // namespace meshattn::gpu
