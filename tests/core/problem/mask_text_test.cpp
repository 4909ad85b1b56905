#include "core/problem/mask_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "core/base/error.h"

namespace meshattn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// A temporary file of documents.
class MaskText : public ::testing::Test {
 protected:
  ~MaskText() override { std::filesystem::remove(path_); }

  std::string documents(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return "documents:" + path_.string();
  }

  const std::filesystem::path path_ = std::filesystem::path(::testing::TempDir()) / "meshattn_mask_text_test.txt";
};

TEST_F(MaskText, ASimpleMaskIsReadByItsName) {
  for (const Mask& mask : {Mask::kFull, Mask::kCausal, Mask{true, 4096, {}}})
    EXPECT_EQ(parse_mask(name_of(mask)), mask);
  EXPECT_EQ(parse_mask("window:4K").window, 4096);
}

TEST_F(MaskText, DocumentsComeAloneOrWithASimpleMask) {
  const std::string text = documents("# two\n3 # short\n\t5\r\n");
  const Documents two(std::vector<std::int64_t>{3, 5});
  EXPECT_EQ(parse_mask(text, 8), (Mask{true, 0, two}));
  EXPECT_EQ(parse_mask("full+" + text, 8), (Mask{false, 0, two}));
  EXPECT_EQ(parse_mask("window:2+" + text, 8), (Mask{true, 2, two}));
}

TEST_F(MaskText, OtherTextIsRefusedWithThePossibleMasks) {
  const std::string text = documents("8");
  for (const std::string& wrong : {std::string(""), std::string("Full"), std::string("windw:4"), std::string("window"),
                                   std::string("full+causal"), text + "+full"})
    EXPECT_THROW(std::ignore = parse_mask(wrong, 8), InvalidInput) << wrong;
  EXPECT_THAT(
      [] { std::ignore = parse_mask("windw:4", 8); },
      ThrowsMessage<InvalidInput>(HasSubstr("unknown mask 'windw:4': possible are full, causal, window:W, doc")));
  EXPECT_THAT([] { std::ignore = parse_mask("window:0"); },
              ThrowsMessage<InvalidInput>(HasSubstr("the window of a mask must be a number of tokens")));
  EXPECT_THROW(std::ignore = parse_mask(text), InvalidInput);  // without a sequence, no documents
}

TEST_F(MaskText, DocumentsMustAddUpToTheSequence) {
  const auto refused = [&](const std::string& text, const std::string& message) {
    const std::string mask = documents(text);
    EXPECT_THAT([&] { std::ignore = parse_mask(mask, 8); }, ThrowsMessage<InvalidInput>(HasSubstr(message)));
  };
  refused("3\n4\n", ".txt:3: 7 tokens in all, not the 8 of the sequence");
  refused("3\n6\n", ".txt:2: 9 tokens up to here, more than the 8 of the sequence");
  refused("3\nx\n", ".txt:2: the length of a document must be a number of tokens");
  refused("", ".txt:1: 0 tokens in all");
}

}  // namespace
}  // namespace meshattn::testing
