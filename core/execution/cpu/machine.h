#pragma once

#include <cstddef>
#include <vector>

#include "core/execution/cpu/kernels.h"
#include "core/execution/cpu/reference.h"
#include "core/execution/cpu/view.h"
#include "core/schedule/schedule.h"

namespace meshattn::cpu {

/// The memory of all ranks, and the effect of each op on it. The caller decides on the order; ops that the schedule
/// does not order may run at the same time.
template <typename T>
class Machine {
 public:
  /// Fills arenas with NaN, then loads the inputs. @throws InvalidInput if a needed tensor has the wrong size.
  Machine(const Schedule& schedule, const Tensors& given);

  /// To be called when an op starts: clears the values that it is the first to make.
  void begin(Rank rank, OpId op);
  /// Computes an op; an Exchange computes nothing.
  void compute(OpId op);
  /// Copies the data of a transfer to its receiver.
  void copy(TransferId transfer);

  /// The outputs; NaN where the schedule has none.
  [[nodiscard]] Tensors outputs();

 private:
  [[nodiscard]] View<T> view(ValueId v) { return {s_, v, arenas_[static_cast<std::size_t>(s_.values[v].rank)].data()}; }
  [[nodiscard]] BlockShape shape_of(Cell q, Cell kv) const {
    const Problem& p = s_.problem;
    const AttentionShape& a = p.shape;
    return {p.block(q, kv), p.mask, p.q_run(q), p.kv_run(kv), a.batch, a.head_dim, a.group()};
  }
  void load(ValueId v, const Tensors& given);
  void store(ValueId v, Tensors& to);

  void compute(const Attend& op);
  void compute(const AttendBackward& op);
  void compute(const Delta& op);
  void compute(const Combine& op);
  void compute(const Exchange&) {}
  void attend(const AttendRow& row, ValueId kv);
  void attend(const BackwardRow& row, const BackwardColumn& column);

  const Schedule& s_;
  std::vector<std::vector<T>> arenas_;  ///< by rank
  std::vector<OpId> first_maker_;       ///< by value: the first of the ops that contribute to it
};

extern template class Machine<float>;
extern template class Machine<double>;

}  // namespace meshattn::cpu
