#pragma once

#include <vector>

#include "core/problem.h"

namespace meshattn {

/// The positions of a problem's cells, worked out once, and what the mask leaves of any two of them.
class Blocks {
 public:
  explicit Blocks(const Problem& problem) : mask_(problem.mask) {
    q_runs_.reserve(problem.cells());
    kv_runs_.reserve(problem.cells());
    for (Cell cell = 0; cell < problem.cells(); ++cell) {
      q_runs_.push_back(problem.q_run(cell));
      kv_runs_.push_back(problem.kv_run(cell));
    }
  }

  [[nodiscard]] const std::vector<TokenRun>& q_runs() const { return q_runs_; }
  [[nodiscard]] const std::vector<TokenRun>& kv_runs() const { return kv_runs_; }

  [[nodiscard]] Block of(Cell q, Cell kv) const { return block_of(mask_, q_runs_[q], kv_runs_[kv]); }
  /// Whether anything is left of q × kv.
  [[nodiscard]] bool any(Cell q, Cell kv) const {
    return mask_ == Mask::kFull || of(q, kv).kind != Block::Kind::kEmpty;
  }

 private:
  Mask mask_;
  std::vector<TokenRun> q_runs_, kv_runs_;  ///< by cell
};

}  // namespace meshattn
