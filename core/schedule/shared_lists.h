#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// Operand lists of rectangles as found in the text. A list that is a sub-list of the schedule's array already is found
/// there; otherwise it is appended. So rectangles that shared rows or columns when written share them again.
template <typename T>
class SharedLists {
 public:
  explicit SharedLists(std::vector<T>& all) : all_(all) {}

  /// `wanted` is not empty. @returns the index of its first item.
  std::uint32_t find_or_append(const std::vector<T>& wanted) {
    const ValueId first_key = key(wanted.front());
    const std::uint32_t known = first_key < last_at_.size() ? last_at_[first_key] : kNone;
    if (known != kNone) {
      const auto [w, a] = std::mismatch(wanted.begin(), wanted.end(), all_.begin() + known, all_.end());
      if (w == wanted.end()) return known;
      if (a == all_.end()) {
        append(w, wanted.end());
        return known;
      }
    }
    const auto first = static_cast<std::uint32_t>(all_.size());
    append(wanted.begin(), wanted.end());
    return first;
  }

 private:
  static ValueId key(ValueId kv) { return kv; }
  static ValueId key(const AttendRow& row) { return row.q; }
  static ValueId key(const BackwardRow& row) { return row.q; }
  static ValueId key(const BackwardColumn& column) { return column.kv; }

  template <typename Iterator>
  void append(Iterator begin, Iterator end) {
    for (; begin != end; ++begin) {
      const ValueId k = key(*begin);
      if (k >= last_at_.size()) last_at_.resize(k + std::size_t{1}, kNone);
      last_at_[k] = static_cast<std::uint32_t>(all_.size());
      all_.push_back(*begin);
    }
  }

  std::vector<T>& all_;
  std::vector<std::uint32_t> last_at_;  ///< by the first id of an item: its last index
};

}  // namespace meshattn
