#include "experiments/cli/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace meshattn {
namespace {

using testing::ElementsAre;

TEST(Units, TilesRoundTrip) {
  for (Tile tile : {Tile{1, 1}, Tile{16, 8}, Tile{1, 1024}}) EXPECT_EQ(parse_tile(tile_text(tile), "--tile"), tile);
  for (const char* wrong : {"", "16", "x", "16x", "x8", "16x8x2", "0x8", "-1x8", "16X8", "16 x 8", "4294967297x1"})
    EXPECT_THROW(std::ignore = parse_tile(wrong, "--tile"), InvalidInput) << wrong;
}

TEST(Units, RanksAreListsAndRanges) {
  EXPECT_THAT(parse_ranks("0-2,7", "--trace-ranks", 8), ElementsAre(0, 1, 2, 7));
  EXPECT_THAT(parse_ranks("7,1-2,2", "--trace-ranks", 8), ElementsAre(1, 2, 7));
  for (const char* wrong : {"", ",", "1,", "8", "0-8", "3-1", "a", "1-", "-1", "1--2"})
    EXPECT_THROW(std::ignore = parse_ranks(wrong, "--trace-ranks", 8), InvalidInput) << wrong;
}

}  // namespace
}  // namespace meshattn
