#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/kernels/bands.h"
#include "gpu/kernels/layout.h"

namespace meshattn::gpu {

/// The cells that several values have in common, and the positions of their tokens in each value.
class CommonCells {
 public:
  CommonCells(const Schedule& schedule, const std::vector<ValueId>& values);
  /// The common cells among `cells`, which must be ascending.
  CommonCells(const Schedule& schedule, const std::vector<ValueId>& values, std::span<const Cell> cells);

  [[nodiscard]] const std::vector<CellSpan>& spans() const { return spans_; }
  /// The index in the v-th value of a token, counted over the spans.
  [[nodiscard]] std::int64_t token_in(std::size_t v, std::int64_t token) const;
  /// A range of heads and of tokens, which must be contiguous in the v-th value.
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
  std::vector<std::int64_t> first_;            ///< by span: its first token, counted over the spans
  std::vector<std::vector<std::int64_t>> at_;  ///< by span and value: its first token in the value
  std::int64_t tokens_ = 0;                    ///< of all spans
};

}  // namespace meshattn::gpu
