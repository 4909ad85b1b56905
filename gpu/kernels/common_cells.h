#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/kernels/bands.h"
#include "gpu/kernels/layout.h"

namespace meshattn::gpu {

/// The cells that several values all have, one after the other, and where their tokens are in each value.
class CommonCells {
 public:
  CommonCells(const Schedule& schedule, const std::vector<ValueId>& values);
  /// Only those of `cells`, which must be ascending.
  CommonCells(const Schedule& schedule, const std::vector<ValueId>& values, std::span<const Cell> cells);

  [[nodiscard]] const std::vector<CellSpan>& spans() const { return spans_; }
  /// Where a token, counted over the spans, is in the v-th value.
  [[nodiscard]] std::int64_t token_in(std::size_t v, std::int64_t token) const;
  /// Rows of tokens that are contiguous in the v-th value, of some of its heads.
  [[nodiscard]] MatrixView rows(std::size_t v, int matrix, HeadRange heads, std::int64_t first,
                                std::int64_t tokens) const {
    return values_[v]
        .matrix(matrix)
        .head_range(heads.begin - values_[v].region().heads.begin, heads.end - heads.begin)
        .token_range(token_in(v, first), tokens);
  }
  /// Calls f(first token, tokens) for each run of tokens that is contiguous in all values.
  template <typename F>
  void for_each_run(F&& f) const {
    for (std::size_t i = 0; i < spans_.size();) {
      const std::int64_t first = first_[i];
      while (++i < spans_.size() && spans_[i].contiguous) {
      }
      f(first, (i < spans_.size() ? first_[i] : tokens_) - first);
    }
  }

 private:
  void add(Cell cell);

  std::vector<ValueLayout> values_;
  std::vector<CellSpan> spans_;
  std::vector<std::int64_t> first_;            ///< by span: tokens of the spans before
  std::vector<std::vector<std::int64_t>> at_;  ///< by span and value: its first token there
  std::int64_t tokens_ = 0;                    ///< of all spans
};

}  // namespace meshattn::gpu
