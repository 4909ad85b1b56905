#include "core/base/format.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace meshattn {
namespace {

TEST(Format, TimesHaveTheUnitOfTheirSize) {
  EXPECT_EQ(time_text(0), "0.000 ms");
  EXPECT_EQ(time_text(0.9994e-3), "999.400 us");
  EXPECT_EQ(time_text(0.99999999), "1.000 s");
  EXPECT_EQ(time_text(1.5e-6), "1.500 us");
  EXPECT_EQ(time_text(0.9999999e-3), "1.000 ms");
  EXPECT_EQ(time_text(-5e-3), "-5.000 ms");
  EXPECT_EQ(time_text(-2), "-2.000 s");
}

TEST(Format, BytesHaveDecimalUnits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.00 kB");
  EXPECT_EQ(bytes_text(67'108'864), "67.11 MB");
  EXPECT_EQ(bytes_text(2.5e12), "2.50 TB");
}

TEST(Format, ASmallPercentageHasNoSign) {
  EXPECT_EQ(percent_text(0.123), "12.3 %");
  EXPECT_EQ(percent_text(-0.0004), "0.0 %");
  EXPECT_EQ(percent_text(-0.001), "-0.1 %");
}

TEST(Format, CountsHaveCommas) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1'310'720), "1,310,720");
  EXPECT_EQ(count_text(UINT64_MAX), "18,446,744,073,709,551,615");
}

}  // namespace
}  // namespace meshattn
