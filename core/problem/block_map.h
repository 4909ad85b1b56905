#pragma once

#include <vector>

#include "core/problem/problem.h"

namespace meshattn {

/// The blocks of a problem: query cell × key/value cell under the mask. Computes the positions of all cells once.
class BlockMap {
 public:
  explicit BlockMap(const Problem& problem)
      : mask_(problem.mask),
        seen_is_exact_((mask_.window == 0 && mask_.documents.empty()) || problem.partition != Partition::kStriped) {
    q_runs_.reserve(problem.cells());
    kv_runs_.reserve(problem.cells());
    seen_.reserve(problem.cells());
    for (Cell cell = 0; cell < problem.cells(); ++cell) {
      q_runs_.push_back(problem.q_run(cell));
      kv_runs_.push_back(problem.kv_run(cell));
      const TokenRun& q = q_runs_.back();
      seen_.push_back({mask_.keys_of(q.start).begin, mask_.keys_of(q.last()).end});
    }
  }

  [[nodiscard]] const std::vector<TokenRun>& q_runs() const { return q_runs_; }
  [[nodiscard]] const std::vector<TokenRun>& kv_runs() const { return kv_runs_; }

  /// The block q × kv.
  [[nodiscard]] Block of(Cell q, Cell kv) const {
    return is_near(q, kv) ? block_of(mask_, q_runs_[q], kv_runs_[kv]) : Block{};
  }
  /// True if the block q × kv is not empty.
  [[nodiscard]] bool any(Cell q, Cell kv) const {
    return is_near(q, kv) && (seen_is_exact_ || of(q, kv).kind != Block::Kind::kEmpty);
  }

 private:
  /// True if the keys overlap the interval of keys that the queries see.
  [[nodiscard]] bool is_near(Cell q, Cell kv) const {
    return kv_runs_[kv].start < seen_[q].end && kv_runs_[kv].last() >= seen_[q].begin;
  }

  Mask mask_;
  std::vector<TokenRun> q_runs_, kv_runs_;  ///< by cell
  std::vector<Interval> seen_;              ///< by query cell: from the first key that a query sees to the last one
  /// True if the queries of a cell together see every key of `seen_`. Neighbouring queries do, as each sees its own
  /// position. Queries a stride apart may leave gaps if the mask has a window or documents.
  bool seen_is_exact_;
};

}  // namespace meshattn
