#pragma once

#include <span>
#include <vector>

#include "core/problem/block_map.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Work of the kernel that computes one rectangle. Pairs are (query, key) pairs that the mask leaves, summed over
/// heads, of one batch item.
struct KernelWork {
  double full_pairs = 0;    ///< in blocks that the mask leaves whole
  double causal_pairs = 0;  ///< in all other blocks
  double q_tokens = 0;      ///< of a kernel over all its heads
  double kv_tokens = 0;     ///< of a kernel over all its heads
  double thread_blocks = 1;
  std::vector<double> row_tokens;     ///< by row: queries that see any of its keys
  std::vector<double> column_tokens;  ///< by column: keys that any of its queries sees
};

/// Counts the work of Attend and AttendBackward ops of one problem.
class KernelWorkCounter {
 public:
  explicit KernelWorkCounter(const Problem& problem) : problem_(problem), blocks_(problem) {}

  [[nodiscard]] KernelWork of(const Schedule& schedule, const Attend& op) const;
  [[nodiscard]] KernelWork of(const Schedule& schedule, const AttendBackward& op) const;

  [[nodiscard]] const BlockMap& blocks() const { return blocks_; }

 private:
  template <typename Rows, typename Columns>
  [[nodiscard]] KernelWork count(const Schedule& schedule, const Rows& rows, const Columns& columns) const;
  template <typename Rows, typename Columns>
  void add_masked(const Schedule& schedule, const Rows& rows, const Columns& columns, KernelWork& work) const;

  Problem problem_;
  BlockMap blocks_;
};

[[nodiscard]] double tokens_of(std::span<const Cell> cells, const std::vector<TokenRun>& runs);

/// Key/value heads that these query heads attend to.
[[nodiscard]] inline HeadRange kv_heads_of(HeadRange q, int group) {
  return {q.begin / group, (q.end + group - 1) / group};
}

}  // namespace meshattn
