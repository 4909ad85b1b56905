#include "core/base/median.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace meshattn {
namespace {

TEST(Median, IsTheMiddleOrTheMeanOfTwo) {
  EXPECT_EQ(median({7}), 7);
  EXPECT_EQ(median({9, 1}), 5);
  EXPECT_EQ(median({9, 1, 2}), 2);
}

/// As many numbers below as above, in any order.
TEST(Median, HalvesTheNumbers) {
  std::mt19937 random(4);
  for (int round = 0; round < 100; ++round) {
    std::vector<double> numbers(random() % 20 + 1);
    for (double& x : numbers) x = static_cast<double>(random());
    const double middle = median(numbers);
    int below = 0, above = 0;
    for (double x : numbers) below += x<middle, above += x> middle;
    EXPECT_EQ(below, above);
  }
}

}  // namespace
}  // namespace meshattn
