#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/problem/partition.h"

namespace meshattn {

/// Index into a RegionTable.
using RegionId = std::uint32_t;

/// Heads begin … end − 1: query heads for Q, O, dO, delta and dQ, key/value heads for KV and dKV.
struct HeadRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;

  friend bool operator==(const HeadRange&, const HeadRange&) = default;
};

/// Heads that are in both ranges; begin ≥ end if there are none.
[[nodiscard]] inline HeadRange common(HeadRange a, HeadRange b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

/// A part of a tensor: a set of cells × a range of heads. A view into its RegionTable.
struct Region {
  std::span<const Cell> cells;  ///< ascending
  HeadRange heads;
};

/// True if every cell and head of `inner` is in `outer`.
[[nodiscard]] bool contains(const Region& outer, const Region& inner);
/// True if some (cell, head) is in both.
[[nodiscard]] bool overlap(const Region& a, const Region& b);

/// Calls visit(cell) for every cell that is in both lists, ascending.
template <typename Visit>
void for_each_common_cell(std::span<const Cell> a, std::span<const Cell> b, Visit&& visit) {
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j) visit(*i);
    const bool first = *i <= *j, second = *j <= *i;
    if (first) ++i;
    if (second) ++j;
  }
}

/// A set of regions, each stored once: ids are equal if and only if regions are.
class RegionTable {
 public:
  /// @returns the id of the region. `cells` must be ascending without repeats, and `heads` not empty.
  RegionId intern(std::span<const Cell> cells, HeadRange heads);

  [[nodiscard]] Region operator[](RegionId id) const {
    const Entry& e = entries_[id];
    return {{cells_.data() + e.first, e.count}, e.heads};
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint32_t first;
    std::uint32_t count;
    HeadRange heads;
  };
  std::vector<Cell> cells_;
  std::vector<Entry> entries_;
  std::unordered_multimap<std::size_t, RegionId> by_hash_;
};

}  // namespace meshattn
