#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// Builds a schedule op by op. Each method appends to the list of the rank whose values it is given.
class ScheduleBuilder {
 public:
  explicit ScheduleBuilder(const Problem& problem);

  [[nodiscard]] const Problem& problem() const { return schedule_.problem; }
  [[nodiscard]] const Value& value(ValueId v) const { return schedule_.values[v]; }
  [[nodiscard]] HeadRange heads(ValueId v) const { return schedule_.region(v).heads; }

  /// All cells of one chunk × all heads of the tensor.
  RegionId chunk_region(Rank chunk, Tensor tensor);
  /// All cells of chunks first … last × the heads.
  RegionId chunk_region(Rank first, Rank last, HeadRange heads);
  RegionId region(std::span<const Cell> cells, HeadRange heads) { return schedule_.regions.intern(cells, heads); }

  /// A value that is there from the start.
  ValueId input(Rank rank, Tensor tensor, RegionId region, Dtype dtype);
  /// A value that an op, named later, will make or contribute to.
  ValueId declare(Rank rank, Tensor tensor, RegionId region, Dtype dtype);
  void output(ValueId v) { schedule_.outputs.push_back(v); }

  /// Operand lists. Append a rank's rows and columns in the order in which they arrive: a rectangle names a sub-range.
  std::uint32_t add_row(AttendRow row);
  std::uint32_t add_column(ValueId kv);
  std::uint32_t add_row(BackwardRow row);
  std::uint32_t add_column(BackwardColumn column);

  void attend(Rank rank, Attend op) { push(rank, op); }
  void attend_backward(Rank rank, AttendBackward op) { push(rank, op); }
  /// The same, with lists of their own.
  void attend(Rank rank, std::span<const AttendRow> rows, std::span<const ValueId> columns);
  void attend_backward(Rank rank, std::span<const BackwardRow> rows, std::span<const BackwardColumn> columns);
  ValueId delta(ValueId o, ValueId d_o) { return delta(o, d_o, value(o).region); }
  /// Of a part of o and dO.
  ValueId delta(ValueId o, ValueId d_o, RegionId part);
  /// @returns the merged value, with the region of the first source, on its rank.
  ValueId combine(std::span<const ValueId> sources, Dtype dtype) {
    return combine(sources, value(sources.front()).region, dtype);
  }
  /// @returns the merged value, with the region `made`, on the rank of the first source.
  ValueId combine(std::span<const ValueId> sources, RegionId made, Dtype dtype);

  /// A transfer that is part of no exchange yet. @returns its id; the made value is `made(id)`.
  TransferId transfer(ValueId source, Rank to, Lane lane) { return transfer(source, value(source).region, to, lane); }
  /// Of a part of the source.
  TransferId transfer(ValueId source, RegionId part, Rank to, Lane lane);
  [[nodiscard]] ValueId made(TransferId t) const { return schedule_.transfers[t].made; }
  void exchange(Rank rank, std::span<const TransferId> transfers);
  /// Transfers of one lane that run side by side: one exchange on every rank that sends or receives any of them.
  void exchange_all(std::span<const TransferId> transfers);

  /// Lists the ops rank after rank. The builder is empty afterwards.
  [[nodiscard]] Schedule finish();

 private:
  void push(Rank rank, Op op) { ops_[static_cast<std::size_t>(rank)].push_back(op); }

  Schedule schedule_;
  std::vector<std::vector<Op>> ops_;
  std::vector<std::vector<TransferId>> of_rank_;  ///< empty but within exchange_all
};

}  // namespace meshattn
