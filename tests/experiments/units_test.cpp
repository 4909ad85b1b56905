#include "experiments/cli/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/format.h"

namespace meshattn {
namespace {

using testing::ElementsAre;

TEST(Units, TokensCountInUnitsOf1024) {
  EXPECT_EQ(parse_tokens("4096", "--seq"), 4096);
  EXPECT_EQ(parse_tokens("64K", "--seq"), 64 * 1024);
  EXPECT_EQ(parse_tokens("1M", "--seq"), 1048576);
  for (const char* wrong :
       {"", "0", "-5", "+5", "64k", "64KB", "1.5M", "K", " 64K", "64 K", "1e6", "0x10", "99999999999999M"})
    EXPECT_THROW(std::ignore = parse_tokens(wrong, "--seq"), InvalidInput) << wrong;
}

TEST(Units, BytesAreDecimal) {
  EXPECT_EQ(parse_bytes("80G", "--memory-limit"), 80'000'000'000u);
  EXPECT_EQ(parse_bytes("80GB", "--memory-limit"), 80'000'000'000u);
  EXPECT_EQ(parse_bytes("1.5M", "--memory-limit"), 1'500'000u);
  EXPECT_EQ(parse_bytes("1000", "--memory-limit"), 1000u);
  for (const char* wrong : {"", "0", "-1", "G", "80Q", "80g", "1e9", "inf", "nan", "1..5G", "80 G", "99999999T"})
    EXPECT_THROW(std::ignore = parse_bytes(wrong, "--memory-limit"), InvalidInput) << wrong;
}

TEST(Units, TilesComeBackAsTheyWereWritten) {
  for (Tile tile : {Tile{1, 1}, Tile{16, 8}, Tile{1, 1024}}) EXPECT_EQ(parse_tile(tile_text(tile), "--tile"), tile);
  for (const char* wrong : {"", "16", "x", "16x", "x8", "16x8x2", "0x8", "-1x8", "16X8", "16 x 8", "4294967297x1"})
    EXPECT_THROW(std::ignore = parse_tile(wrong, "--tile"), InvalidInput) << wrong;
}

TEST(Units, TimesHaveTheUnitOfTheirSize) {
  EXPECT_EQ(time_text(0), "0.000 ms");
  EXPECT_EQ(time_text(1.5e-6), "1.500 us");
  EXPECT_EQ(time_text(0.9999999e-3), "1.000 ms");
  EXPECT_EQ(time_text(-5e-3), "-5.000 ms");
  EXPECT_EQ(time_text(-2), "-2.000 s");
}

TEST(Units, RanksAreListsAndRanges) {
  EXPECT_THAT(parse_ranks("0-2,7", "--trace-ranks", 8), ElementsAre(0, 1, 2, 7));
  EXPECT_THAT(parse_ranks("7,1-2,2", "--trace-ranks", 8), ElementsAre(1, 2, 7));
  for (const char* wrong : {"", ",", "1,", "8", "0-8", "3-1", "a", "1-", "-1", "1--2"})
    EXPECT_THROW(std::ignore = parse_ranks(wrong, "--trace-ranks", 8), InvalidInput) << wrong;
}

}  // namespace
}  // namespace meshattn
