#include "gpu/last_resort.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace meshattn::gpu {
namespace {

TEST(LastResort, DoesNothingWhereThingsAreLeftInTime) {
  LastResort unarmed(0.01), armed(3600);
  armed.arm("stuck");
  armed.arm("again");
}

TEST(LastResortDeathTest, EndsTheProcessWithTheFirstError) {
  EXPECT_EXIT(
      {
        LastResort last(0.05);
        last.arm("rank 3 is stuck");
        last.arm("rank 4 is stuck");
        std::this_thread::sleep_for(std::chrono::seconds(30));  // a device that does not answer
      },
      ::testing::ExitedWithCode(1), "meshattn: rank 3 is stuck; nor can the device be left");
}

}  // namespace
}  // namespace meshattn::gpu
