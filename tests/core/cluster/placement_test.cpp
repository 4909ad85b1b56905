#include "core/cluster/placement.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/base/error.h"

namespace meshattn {
namespace {

TEST(LinearPlacement, PutsRankROnGpuR) {
  EXPECT_EQ(linear_placement(3).gpu, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(linear_placement(65'536).gpu.back(), 65'535);
  EXPECT_THROW((void)linear_placement(0), InvalidInput);
  EXPECT_THROW((void)linear_placement(65'537), InvalidInput);
}

}  // namespace
}  // namespace meshattn
