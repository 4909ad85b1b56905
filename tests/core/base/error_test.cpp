#include "core/base/error.h"

#include <gtest/gtest.h>

#include <string>

namespace meshattn {
namespace {

TEST(Error, AMessageIsOneLine) { EXPECT_EQ(one_line("a\nb\n"), "a b "); }

TEST(Error, UnknownBytesAreShortAndPrintable) {
  EXPECT_EQ(printable("a b~"), "a b~");
  EXPECT_EQ(printable("\n\x7f\xff"), "???");
  EXPECT_EQ(printable(std::string(60, 'x')), std::string(60, 'x'));
  EXPECT_EQ(printable(std::string(61, 'x')), std::string(60, 'x') + "…");
}

}  // namespace
}  // namespace meshattn
