#include "core/base/text_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"

namespace meshattn {
namespace {

using testing::ThrowsMessage;

TEST(TextScanner, ReadsTokensBetweenBlanksAndComments) {
  TextScanner scan("  ring 12 -> 3 # to the end\n\n\t# nothing\nlast", "t");
  EXPECT_EQ(scan.next_word(), "ring");
  EXPECT_FALSE(scan.take("rin"));  // not all of the word
  EXPECT_TRUE(scan.take("ring"));
  EXPECT_TRUE(scan.at_number());
  EXPECT_EQ(scan.number(1, 12, "a number"), 12u);
  EXPECT_TRUE(scan.take("->"));
  EXPECT_EQ(scan.id(4, "an id"), 3u);
  scan.next_line();
  scan.expect("last");
  EXPECT_NO_THROW(scan.expect_end());
}

TEST(TextScanner, AFailureNamesPlaceExpectedAndFound) {
  const auto failure = [](auto read) {
    TextScanner scan("one\n two 5 \x01", "t");
    try {
      scan.expect("one");
      scan.next_line();
      read(scan);
    } catch (const InvalidInput& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(failure([](TextScanner& scan) { scan.expect("three"); }), "t:2:2: expected 'three', found 'two'");
  EXPECT_EQ(failure([](TextScanner& scan) { scan.next_line(); }), "t:2:2: expected the end of the line, found 'two'");
  EXPECT_EQ(failure([](TextScanner& scan) {
              scan.expect("two");
              (void)scan.number(6, 9, "a number");
            }),
            "t:2:6: expected a number from 6 to 9, found '5'");
  EXPECT_EQ(failure([](TextScanner& scan) {
              scan.expect("two");
              (void)scan.id(6, "an id");
              scan.expect_end();
            }),
            "t:2:8: expected the end of the text, found '\\x01'");
}

TEST(TextScanner, ANameIsReadByItsParser) {
  const auto parse = +[](std::string_view name) {
    if (name != "fat-tree") throw InvalidInput("unknown tree");
    return 7;
  };
  TextScanner scan("fat-tree -oak", "t");
  EXPECT_EQ(scan.name(parse), 7);
  EXPECT_THAT([&] { (void)scan.name(parse); }, ThrowsMessage<InvalidInput>("t:1:10: expected a name, found '-'"));
  TextScanner other("fat", "t");
  EXPECT_THAT([&] { (void)other.name(parse); }, ThrowsMessage<InvalidInput>("t:1:1: unknown tree"));
}

TEST(TextScanner, ANumberBeyond64BitsIsRefused) {
  TextScanner scan("18446744073709551616", "t");
  EXPECT_THROW((void)scan.number(0, UINT64_MAX, "a number"), InvalidInput);
}

}  // namespace
}  // namespace meshattn
