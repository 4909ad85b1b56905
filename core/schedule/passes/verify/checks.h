#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/schedule/passes/verify.h"
#include "core/schedule/schedule.h"

/// The parts of `verify`. Each comment says what a part proves and what it takes for granted.
namespace meshattn::verification {

/// What was found so far. Once it is full, nobody need look on.
class Findings {
 public:
  explicit Findings(std::size_t most) : most_(most) {}

  void add(Finding finding) {
    if (!full()) list_.push_back(std::move(finding));
  }
  [[nodiscard]] bool empty() const { return list_.empty(); }
  [[nodiscard]] bool full() const { return list_.size() >= most_; }
  [[nodiscard]] std::vector<Finding> take() { return std::move(list_); }

 private:
  std::size_t most_;
  std::vector<Finding> list_;
};

/// "KV value 12".
[[nodiscard]] std::string describe(const Schedule& s, ValueId v);
/// "op 7 of rank 2".
[[nodiscard]] std::string describe_op(const Schedule& s, OpId op);

/// True for values that are summed up from blocks by this very schedule. O of a backward pass is not: it is given.
[[nodiscard]] inline bool is_sum(const Schedule& s, ValueId v) {
  const Tensor tensor = s.values[v].tensor;
  return is_partial(tensor) && (tensor != Tensor::kO || s.problem.pass == Pass::kForward);
}

/// Calls visit(rank, op id, op) for each op, rank after rank, until enough is found.
template <typename Visit>
void for_each_op(const Schedule& s, const Findings& found, Visit&& visit) {
  for (Rank rank = 0; rank < s.problem.ranks; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank) && !found.full(); ++op) visit(rank, op, s.ops[op]);
}

/// Every index that the arrays hold exists, regions and lists are what they claim to be, waits are sorted and point
/// backwards in the list of their rank. Trusts nothing. All other parts rely on it.
void check_structure(const Schedule& s, Findings& found);

/// The operands of each op fit it: rank, tensor, dtype, region.
void check_operands(const Schedule& s, Findings& found);

/// Values are made before they are read, once; every (cell, head) of a partial is read once, or all of it is handed
/// out; outputs are owned, and so are inputs that no forward pass can have left on other ranks.
void check_dataflow(const Schedule& s, Findings& found);

/// Every block is attended exactly once, and every output is complete; takes the two checks above for granted.
void check_coverage(const Schedule& s, Findings& found);

/// Both ends of each transfer meet, in the same order, and nobody waits for ever.
void check_progress(const Schedule& s, Findings& found);

/// Values that share bytes never meet; takes for granted that all other parts found nothing.
void check_memory(const Schedule& s, Findings& found);

}  // namespace meshattn::verification
