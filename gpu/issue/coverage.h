#pragma once

#include <algorithm>
#include <vector>

#include "core/schedule/region.h"
#include "gpu/kernels/matrix_view.h"

namespace meshattn::gpu {

/// The rows of an accumulator that have been written.
class Coverage {
 public:
  /// How many of the rows that are added were written before.
  enum class Overlap { kNone, kFull, kPartial };

  explicit Coverage(const MatrixView& rows) : by_head_(static_cast<std::size_t>(rows.heads)), tokens_(rows.tokens) {}

  /// Adds rows; heads are counted from the accumulator's first. @returns how many were written before
  Overlap add(HeadRange heads, Interval tokens) {
    bool any = false, all = true;
    for (std::int32_t h = heads.begin; h < heads.end; ++h) {
      std::vector<Interval>& written = by_head_[static_cast<std::size_t>(h)];
      bool inside = false;
      for (const Interval& w : written) {
        any |= w.begin < tokens.end && tokens.begin < w.end;
        inside |= w.begin <= tokens.begin && tokens.end <= w.end;
      }
      all &= inside;
      if (!inside) join(written, tokens);
    }
    return !any ? Overlap::kNone : all ? Overlap::kFull : Overlap::kPartial;
  }

  [[nodiscard]] bool is_complete() const {
    return std::ranges::all_of(by_head_, [this](const std::vector<Interval>& written) {
      return written.size() == 1 && written.front() == Interval{0, tokens_};
    });
  }

 private:
  static void join(std::vector<Interval>& written, Interval more) {
    std::erase_if(written, [&](const Interval& w) {
      if (w.end < more.begin || more.end < w.begin) return false;
      more = {std::min(w.begin, more.begin), std::max(w.end, more.end)};
      return true;
    });
    written.push_back(more);
  }

  std::vector<std::vector<Interval>> by_head_;  ///< disjoint, not adjacent
  std::int64_t tokens_;
};

}  // namespace meshattn::gpu
