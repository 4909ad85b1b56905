#pragma once

#include <vector>

#include "core/cluster/gpu_profile.h"
#include "core/execution/kernel_work.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Bytes that a framework moves to merge the contributions of kernels into accumulators. The first op that contributes
/// to an accumulator writes it directly; each later one is merged. Ops are to be asked for in the order of their ids.
class AccumulatorTraffic {
 public:
  /// All arguments must outlive it.
  AccumulatorTraffic(const Schedule& schedule, const Framework& framework, const BlockMap& blocks)
      : s_(schedule), framework_(framework), blocks_(blocks), first_op_(s_.values.size(), kNone) {}

  /// Bytes that an attention op moves outside its kernel. `rows` and `columns` are the op's, `work` its work.
  template <typename Rows, typename Columns>
  [[nodiscard]] double bytes_of(OpId op, const Rows& rows, const Columns& columns, const KernelWork& work) {
    std::vector<Contribution> contributions;
    for (std::size_t r = 0; r < rows.size(); ++r)
      contributions.push_back({accumulator_of(rows[r]), work.row_tokens[r]});
    for (std::size_t c = 0; c < columns.size(); ++c)
      contributions.push_back({accumulator_of(columns[c]), work.column_tokens[c]});
    return bytes_of(op, std::move(contributions));
  }

  /// Bytes that the framework moves to finish a value, if the value is an output of the schedule.
  [[nodiscard]] double output_bytes(ValueId made) const;

 private:
  /// Tokens of an accumulator that one row or column of an op contributes to.
  struct Contribution {
    ValueId accumulator;
    double tokens;
  };
  [[nodiscard]] double bytes_of(OpId op, std::vector<Contribution> contributions);
  [[nodiscard]] double bytes_of(OpId op, ValueId accumulator, double tokens);

  const Schedule& s_;
  const Framework& framework_;
  const BlockMap& blocks_;
  std::vector<OpId> first_op_;  ///< by accumulator: the first op that contributed to it
};

}  // namespace meshattn
