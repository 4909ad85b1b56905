#include "core/schedule/region.h"

namespace meshattn {

namespace {

std::size_t hash_of(std::span<const Cell> cells, HeadRange heads) {
  std::size_t h = static_cast<std::size_t>(heads.begin) * 0x9E3779B97F4A7C15u + static_cast<std::size_t>(heads.end);
  for (Cell c : cells) h = (h ^ c) * 0x100000001B3u + (h >> 29);
  return h;
}

}  // namespace

bool contains(const Region& outer, const Region& inner) {
  return outer.heads.begin <= inner.heads.begin && inner.heads.end <= outer.heads.end &&
         std::includes(outer.cells.begin(), outer.cells.end(), inner.cells.begin(), inner.cells.end());
}

bool overlap(const Region& a, const Region& b) {
  const HeadRange heads = common(a.heads, b.heads);
  bool any = false;
  if (heads.begin < heads.end) for_each_common_cell(a.cells, b.cells, [&](Cell) { any = true; });
  return any;
}

RegionId RegionTable::intern(std::span<const Cell> cells, HeadRange heads) {
  const std::size_t hash = hash_of(cells, heads);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const Region known = (*this)[it->second];
    if (known.heads == heads && std::ranges::equal(known.cells, cells)) return it->second;
  }
  const auto id = static_cast<RegionId>(entries_.size());
  const auto first = static_cast<std::uint32_t>(cells_.size());
  // `cells` may view into cells_, which may move while it grows.
  const std::vector<Cell> copy(cells.begin(), cells.end());
  cells_.insert(cells_.end(), copy.begin(), copy.end());
  entries_.push_back({first, static_cast<std::uint32_t>(copy.size()), heads});
  by_hash_.emplace(hash, id);
  return id;
}

}  // namespace meshattn
