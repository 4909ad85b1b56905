#include "core/schedule/region.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>

namespace meshattn {
namespace {

using Rows = std::set<std::pair<Cell, std::int32_t>>;  // cell, head

Rows rows_of(const Region& r) {
  Rows rows;
  for (Cell cell : r.cells)
    for (std::int32_t head = r.heads.begin; head < r.heads.end; ++head) rows.insert({cell, head});
  return rows;
}

/// A region of some of 5 cells × some of 4 heads.
RegionId random_region(RegionTable& table, std::mt19937& random) {
  std::vector<Cell> cells;
  for (Cell cell = 0; cell < 5; ++cell)
    if (random() % 2 == 0) cells.push_back(cell);
  if (cells.empty()) cells.push_back(static_cast<Cell>(random() % 5));
  const auto begin = static_cast<std::int32_t>(random() % 4);
  return table.intern(cells,
                      {begin, begin + 1 + static_cast<std::int32_t>(random() % (4u - static_cast<unsigned>(begin)))});
}

TEST(Region, ContainsAndOverlapAreThoseOfSetsOfRows) {
  std::mt19937 random(1);
  RegionTable table;
  int contained = 0, apart = 0;
  for (int i = 0; i < 2000; ++i) {
    const RegionId a = random_region(table, random), b = random_region(table, random);
    const Rows in_a = rows_of(table[a]), in_b = rows_of(table[b]);
    Rows both;
    for (const auto& row : in_a)
      if (in_b.contains(row)) both.insert(row);
    EXPECT_EQ(contains(table[a], table[b]), both == in_b);
    EXPECT_EQ(overlap(table[a], table[b]), !both.empty());
    std::set<Cell> common_cells;
    for_each_common_cell(table[a].cells, table[b].cells, [&](Cell cell) { common_cells.insert(cell); });
    const HeadRange heads = common(table[a].heads, table[b].heads);
    EXPECT_EQ(both.size(),
              heads.begin < heads.end ? common_cells.size() * static_cast<std::size_t>(heads.end - heads.begin) : 0);
    contained += both == in_b;
    apart += both.empty();
  }
  EXPECT_GT(contained, 20);
  EXPECT_GT(apart, 20);
}

TEST(RegionTable, GivesEqualRegionsOneId) {
  std::mt19937 random(2);
  RegionTable table;
  for (int i = 0; i < 2000; ++i) {
    const RegionId a = random_region(table, random), b = random_region(table, random);
    EXPECT_EQ(a == b, rows_of(table[a]) == rows_of(table[b]));
  }
  EXPECT_LE(table.size(), 31u * 10);  // non-empty sets of 5 cells × ranges of 4 heads
}

/// The cells may be those of a region of the same table, whose storage moves when it grows.
TEST(RegionTable, InternsCellsOfItsOwnRegions) {
  RegionTable table;
  const Cell cells[] = {1, 4, 9};
  const RegionId first = table.intern(cells, {0, 1});
  for (std::int32_t head = 1; head < 100; ++head) {
    const RegionId next = table.intern(table[first].cells, {head, head + 1});
    EXPECT_EQ(table[next].cells[2], 9u);
    EXPECT_TRUE(std::ranges::equal(table[next].cells, cells));
  }
}

}  // namespace
}  // namespace meshattn
