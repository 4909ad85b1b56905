#include "core/base/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <tuple>

#include "core/base/error.h"

namespace meshattn {
namespace {

TEST(Numbers, AWholeNumberIsDigitsOnly) {
  for (std::int64_t n : {std::int64_t{0}, std::int64_t{7}, std::numeric_limits<std::int64_t>::max()})
    EXPECT_EQ(whole_number(std::to_string(n)), n);
  for (const char* wrong : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808"})
    EXPECT_EQ(whole_number(wrong), std::nullopt) << wrong;
}

TEST(Numbers, DecimalNumbersAreFinite) {
  EXPECT_EQ(parse_number("-1.5e3", "x"), -1500);
  for (const char* wrong : {"", "inf", "nan", "1e999", "1,5", "1 ", "0x10"})
    EXPECT_THROW(std::ignore = parse_number(wrong, "x"), InvalidInput) << wrong;
}

TEST(Numbers, CountsHaveBounds) {
  EXPECT_EQ(parse_count("1000000000", "x"), 1'000'000'000);
  EXPECT_EQ(parse_count("0", "x", 0), 0);
  for (const char* wrong : {"", "0", "-1", "1000000001", "1.5", "1e3", "99999999999999999999"})
    EXPECT_THROW(std::ignore = parse_count(wrong, "x"), InvalidInput) << wrong;
  EXPECT_THAT([] { std::ignore = parse_count("3 \n", "the nodes", 4); },
              testing::ThrowsMessage<InvalidInput>("the nodes must be a whole number from 4 to 1000000000, not '3 ?'"));
}

TEST(Numbers, TokensCountInUnitsOf1024) {
  EXPECT_EQ(parse_tokens("4096", "x"), 4096);
  EXPECT_EQ(parse_tokens("64K", "x"), 64 * 1024);
  EXPECT_EQ(parse_tokens("1M", "x"), 1048576);
  for (const char* wrong :
       {"", "0", "-5", "+5", "64k", "64KB", "1.5M", "K", " 64K", "64 K", "1e6", "0x10", "99999999999999M"})
    EXPECT_THROW(std::ignore = parse_tokens(wrong, "x"), InvalidInput) << wrong;
}

TEST(Numbers, BytesAreDecimal) {
  EXPECT_EQ(parse_bytes("80G", "x"), 80'000'000'000u);
  EXPECT_EQ(parse_bytes("80GB", "x"), 80'000'000'000u);
  EXPECT_EQ(parse_bytes("1.5M", "x"), 1'500'000u);
  EXPECT_EQ(parse_bytes("1000", "x"), 1000u);
  for (const char* wrong : {"", "0", "-1", "G", "80Q", "80g", "1e9", "inf", "nan", "1..5G", "80 G", "99999999T"})
    EXPECT_THROW(std::ignore = parse_bytes(wrong, "x"), InvalidInput) << wrong;
}

}  // namespace
}  // namespace meshattn
