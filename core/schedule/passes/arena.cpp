#include "core/schedule/passes/arena.h"

#include <algorithm>

namespace meshattn {

/// Index of the first gap to use; gaps_.size() if the bytes come from the end.
std::size_t Arena::find_gap(std::uint64_t bytes, double time) const {
  constexpr double kRounding = 1e-9;  // equal times that were added up in different orders differ by less
  const auto is_free = [&](std::size_t gap) { return gaps_[gap].free_from <= time + kRounding; };
  std::size_t exact = gaps_.size(), best = gaps_.size();
  std::uint64_t best_run = UINT64_MAX;
  for (std::size_t begin = 0; begin < gaps_.size(); ++begin) {
    if (!is_free(begin)) continue;
    std::size_t end = begin;
    std::uint64_t run = 0;
    do {
      if (gaps_[end].bytes == bytes && (exact == gaps_.size() || gaps_[end].released < gaps_[exact].released))
        exact = end;
      run += gaps_[end].bytes;
    } while (++end < gaps_.size() && gaps_[end].offset == gaps_[end - 1].end() && is_free(end));
    const bool reaches_top = gaps_[end - 1].end() == top_;
    if (run >= bytes ? run < best_run : reaches_top && best == gaps_.size()) {
      best = begin;
      best_run = run >= bytes ? run : UINT64_MAX;
    }
    begin = end - 1;
  }
  return exact < gaps_.size() ? exact : best;
}

std::uint64_t Arena::allocate(std::uint64_t wanted, std::vector<ValueId>& previous, double time) {
  const std::uint64_t bytes = aligned(wanted);
  const std::size_t first = find_gap(bytes, time);
  const std::uint64_t offset = first < gaps_.size() ? gaps_[first].offset : top_;
  std::size_t used = first;
  for (; used < gaps_.size() && gaps_[used].offset < offset + bytes; ++used) {
    previous.push_back(gaps_[used].last);
    if (gaps_[used].end() > offset + bytes) {
      gaps_[used].bytes = gaps_[used].end() - (offset + bytes);
      gaps_[used].offset = offset + bytes;
      break;
    }
  }
  gaps_.erase(gaps_.begin() + static_cast<std::ptrdiff_t>(first), gaps_.begin() + static_cast<std::ptrdiff_t>(used));
  top_ = std::max(top_, offset + bytes);
  return offset;
}

void Arena::release(std::uint64_t offset, std::uint64_t bytes, ValueId last, double time) {
  const auto at = std::ranges::lower_bound(gaps_, offset, {}, &Gap::offset);
  gaps_.insert(at, {offset, aligned(bytes), last, releases_++, time});
}

}  // namespace meshattn
