#include "core/base/error.h"

#include <gtest/gtest.h>

#include <string>

namespace meshattn {
namespace {

TEST(Error, AMessageIsOneLine) { EXPECT_EQ(one_line("a\nb\n"), "a b "); }

TEST(Error, UnknownBytesAreShortAndPrintable) {
  EXPECT_EQ(printable("a b~"), "a b~");
  EXPECT_EQ(printable("\n\x7f\xff"), "???");
  std::string text;
  for (int i = 0; i < 60; ++i) text += 'x';
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable(text + "yz"), text + "…");
}

}  // namespace
}  // namespace meshattn
