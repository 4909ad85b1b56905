#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/schedule/passes/verify.h"
#include "core/schedule/schedule.h"

/// The parts of `verify`. Each comment says what the part proves and what it assumes.
namespace meshattn::verification {

/// The findings so far. Once the list is full, checks may stop.
class Findings {
 public:
  explicit Findings(std::size_t limit) : limit_(limit) {}

  void add(Finding finding) {
    if (!full()) list_.push_back(std::move(finding));
  }
  [[nodiscard]] bool empty() const { return list_.empty(); }
  [[nodiscard]] bool full() const { return list_.size() >= limit_; }
  [[nodiscard]] std::vector<Finding> take() { return std::move(list_); }

 private:
  std::size_t limit_;
  std::vector<Finding> list_;
};

/// "KV value 12".
[[nodiscard]] std::string describe(const Schedule& s, ValueId v);
/// "op 7 of rank 2".
[[nodiscard]] std::string describe_op(const Schedule& s, OpId op);

/// True for the partials of this pass. O of a backward pass is none: it is an input.
[[nodiscard]] inline bool is_partial(const Schedule& s, ValueId v) {
  const Tensor tensor = s.values[v].tensor;
  return is_partial(tensor) && (tensor != Tensor::kO || s.problem.pass == Pass::kForward);
}

/// Calls visit(rank, op id, op) for each op, rank after rank, until the list of findings is full.
template <typename Visit>
void for_each_op(const Schedule& s, const Findings& found, Visit&& visit) {
  for (Rank rank = 0; rank < s.problem.ranks; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank) && !found.full(); ++op) visit(rank, op, s.ops[op]);
}

/// Every index in the arrays exists, regions and lists are well formed, waits are sorted and point backwards in the
/// list of their rank. Assumes nothing. All other checks rely on it.
void check_structure(const Schedule& s, Findings& found);

/// The operands of each op have the rank, tensor, dtype and region that the op needs.
void check_operands(const Schedule& s, Findings& found);

/// Values are made once, before they are read. Every (cell, head) of a partial is read exactly once, or the partial is
/// an output. Outputs are owned by their rank, and so are inputs that no forward pass can have left on another rank.
void check_dataflow(const Schedule& s, Findings& found);

/// Every block is attended exactly once, and every output is complete. Assumes the two checks above.
void check_coverage(const Schedule& s, Findings& found);

/// Both ends of each transfer list it in the same order, and there is no deadlock.
void check_progress(const Schedule& s, Findings& found);

/// Values that share bytes are never in use at the same time. Assumes that all other checks found nothing.
void check_memory(const Schedule& s, Findings& found);

}  // namespace meshattn::verification
