#include "core/base/format.h"

#include <gtest/gtest.h>

namespace meshattn {
namespace {

TEST(Format, ChangesUnitsWhereRoundingDoes) {
  EXPECT_EQ(time_text(0), "0.000 ms");
  EXPECT_EQ(time_text(0.9994e-3), "999.400 us");
  EXPECT_EQ(time_text(0.99999999e-3), "1.000 ms");
  EXPECT_EQ(time_text(0.99999999), "1.000 s");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(67108864), "67.11 MB");
  EXPECT_EQ(percent_text(-1e-12), "0.0 %");
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1310720), "1,310,720");
}

}  // namespace
}  // namespace meshattn
