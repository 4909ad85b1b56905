#pragma once

#include <cstddef>
#include <vector>

#include "core/execution/cpu/kernels.h"
#include "core/execution/cpu/reference.h"
#include "core/execution/cpu/view.h"
#include "core/schedule/schedule.h"

namespace meshattn::cpu {

/// The memory of all ranks and what ops do to it, without any order: the caller decides when. Ops that the schedule
/// does not order may run at the same time.
template <typename T>
class Machine {
 public:
  /// Arenas full of NaN, but for the inputs. @throws InvalidInput if a tensor that is needed has the wrong size.
  Machine(const Schedule& schedule, const Tensors& given);

  /// To be called when an op starts: clears what it is the first to make.
  void begin(Rank rank, OpId op);
  /// Does an op other than Exchange, all at once.
  void compute(OpId op);
  void copy(TransferId transfer);

  /// The outputs; NaN where a schedule has none.
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
  std::vector<std::vector<T>> arenas_;  ///< of each rank
  std::vector<OpId> first_maker_;       ///< of each value: an accumulator has several
};

extern template class Machine<float>;
extern template class Machine<double>;

}  // namespace meshattn::cpu
