#include "core/schedule/passes/arena.h"

#include <gtest/gtest.h>

#include <vector>

namespace meshattn {
namespace {

TEST(Arena, PrefersTheGapOfThatSizeThatWasFreedFirst) {
  Arena arena;
  std::vector<ValueId> previous;
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(arena.allocate(256, previous), i * 256);
  EXPECT_TRUE(previous.empty());
  arena.release(512, 256, 2);
  arena.release(0, 256, 0);
  EXPECT_EQ(arena.allocate(256, previous), 512u);
  EXPECT_EQ(previous, (std::vector<ValueId>{2}));
}

TEST(Arena, JoinsGapsAndSplitsThem) {
  Arena arena;
  std::vector<ValueId> previous;
  for (int i = 0; i < 4; ++i) arena.allocate(200, previous);  // 256 bytes each
  arena.release(256, 200, 1);
  arena.release(512, 200, 2);
  EXPECT_EQ(arena.allocate(300, previous), 256u);  // 512 bytes: both gaps
  EXPECT_EQ(previous, (std::vector<ValueId>{1, 2}));
  arena.release(256, 300, 4);
  previous.clear();
  EXPECT_EQ(arena.allocate(10, previous), 256u);
  EXPECT_EQ(arena.allocate(10, previous), 512u);  // the rest of what value 4 left
  EXPECT_EQ(previous, (std::vector<ValueId>{4, 4}));
  EXPECT_EQ(arena.size(), 1024u);
}

TEST(Arena, TakesTheSmallestGapThatFits) {
  Arena arena;
  std::vector<ValueId> previous;
  for (std::uint64_t bytes : {1024, 256, 512, 256}) arena.allocate(bytes, previous);
  arena.release(0, 1024, 0);
  arena.release(1280, 512, 2);
  EXPECT_EQ(arena.allocate(300, previous), 1280u);
}

TEST(Arena, SkipsAGapThatIsNotFreeYet) {
  Arena arena;
  std::vector<ValueId> previous;
  for (int i = 0; i < 3; ++i) arena.allocate(256, previous);
  arena.release(0, 256, 0, 2.0);
  arena.release(256, 256, 1, 1.0);
  EXPECT_EQ(arena.allocate(256, previous, 1.0), 256u);
  EXPECT_EQ(arena.allocate(256, previous, 1.5), 768u);  // value 0 is used until 2
  EXPECT_EQ(arena.allocate(256, previous, 2.0), 0u);
}

TEST(Arena, GrowsFromAGapAtTheEnd) {
  Arena arena;
  std::vector<ValueId> previous;
  arena.allocate(256, previous);
  arena.allocate(256, previous);
  arena.release(256, 256, 1);
  EXPECT_EQ(arena.allocate(1024, previous), 256u);
  EXPECT_EQ(arena.size(), 1280u);
}

}  // namespace
}  // namespace meshattn
