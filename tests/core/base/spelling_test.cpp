#include "core/base/spelling.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace meshattn {
namespace {

const std::vector<std::string_view> kWords = {"bandwidth_GBps", "efficiency", "startup_us", "sms"};

TEST(Spelling, AWordIsNearestToItself) {
  for (std::string_view word : kWords) EXPECT_EQ(nearest(word, kWords), word);
}

/// One letter dropped, doubled or replaced.
TEST(Spelling, AMisspeltWordIsFound) {
  for (std::string_view word : kWords)
    for (std::size_t i = 0; i < word.size(); ++i) {
      const std::string whole(word);
      EXPECT_EQ(nearest(std::string(whole).erase(i, 1), kWords), word);
      EXPECT_EQ(nearest(std::string(whole).insert(i, 1, whole[i]), kWords), word);
      EXPECT_EQ(nearest(std::string(whole).replace(i, 1, 1, '~'), kWords), word);
    }
}

TEST(Spelling, ABeginningIsFoundAndAStrangerIsNot) {
  EXPECT_EQ(nearest("band", kWords), "bandwidth_GBps");
  EXPECT_EQ(nearest("weather", kWords), "");
  EXPECT_EQ(nearest("", kWords), "");
  EXPECT_EQ(nearest("sms", {}), "");
}

}  // namespace
}  // namespace meshattn
