#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// Builds a schedule op by op. A method that adds an op appends it to the list of the given rank, or of its operands'
/// rank.
class ScheduleBuilder {
 public:
  explicit ScheduleBuilder(const Problem& problem);

  [[nodiscard]] const Problem& problem() const { return schedule_.problem; }
  [[nodiscard]] const Value& value(ValueId v) const { return schedule_.values[v]; }
  [[nodiscard]] HeadRange heads(ValueId v) const { return schedule_.region(v).heads; }

  /// The region of all cells of one chunk × all heads of the tensor.
  RegionId chunk_region(Rank chunk, Tensor tensor);
  /// The region of all cells of chunks first … last × the heads.
  RegionId chunk_region(Rank first, Rank last, HeadRange heads);
  RegionId region(std::span<const Cell> cells, HeadRange heads) { return schedule_.regions.intern(cells, heads); }

  /// Adds a value that exists from the start.
  ValueId input(Rank rank, Tensor tensor, RegionId region, Dtype dtype);
  /// Adds a value that a later op makes or contributes to.
  ValueId declare(Rank rank, Tensor tensor, RegionId region, Dtype dtype);
  void output(ValueId v) { schedule_.outputs.push_back(v); }

  /// Appends to an operand list. @returns the index of the item. Rectangles name ranges of the lists: append the rows
  /// and columns of a rank in the order in which they arrive.
  std::uint32_t add_row(AttendRow row);
  std::uint32_t add_column(ValueId kv);
  std::uint32_t add_row(BackwardRow row);
  std::uint32_t add_column(BackwardColumn column);

  void attend(Rank rank, Attend op) { push(rank, op); }
  void attend_backward(Rank rank, AttendBackward op) { push(rank, op); }
  /// As above, with operand lists of their own.
  void attend(Rank rank, std::span<const AttendRow> rows, std::span<const ValueId> columns);
  void attend_backward(Rank rank, std::span<const BackwardRow> rows, std::span<const BackwardColumn> columns);
  ValueId delta(ValueId o, ValueId d_o) { return delta(o, d_o, value(o).region); }
  /// As above, for a part of o and dO.
  ValueId delta(ValueId o, ValueId d_o, RegionId part);
  /// Combines partials. @returns the value made, on the rank and with the region of the first source.
  ValueId combine(std::span<const ValueId> sources, Dtype dtype) {
    return combine(sources, value(sources.front()).region, dtype);
  }
  /// As above, with the region `made`.
  ValueId combine(std::span<const ValueId> sources, RegionId made, Dtype dtype);

  /// Adds a transfer that is in no exchange yet. @returns its id; the value made is `made(id)`.
  TransferId transfer(ValueId source, Rank to, Lane lane) { return transfer(source, value(source).region, to, lane); }
  /// As above, for a part of the source.
  TransferId transfer(ValueId source, RegionId part, Rank to, Lane lane);
  [[nodiscard]] ValueId made(TransferId t) const { return schedule_.transfers[t].made; }
  void exchange(Rank rank, std::span<const TransferId> transfers);
  /// Adds one exchange to every rank that sends or receives any of the transfers, which are of one lane.
  void exchange_all(std::span<const TransferId> transfers);

  /// Lists the ops rank after rank. The builder is empty afterwards.
  [[nodiscard]] Schedule finish();

 private:
  void push(Rank rank, Op op) { ops_[static_cast<std::size_t>(rank)].push_back(op); }

  Schedule schedule_;
  std::vector<std::vector<Op>> ops_;
  std::vector<std::vector<TransferId>> by_rank_;  ///< used by exchange_all; empty between calls
};

}  // namespace meshattn
