#include "core/schedule/schedule_builder.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace meshattn {

ScheduleBuilder::ScheduleBuilder(const Problem& problem)
    : ops_(static_cast<std::size_t>(problem.ranks)), by_rank_(ops_.size()) {
  check(problem);
  schedule_.problem = problem;
}

RegionId ScheduleBuilder::chunk_region(Rank chunk, Tensor tensor) {
  const AttentionShape& shape = schedule_.problem.shape;
  return chunk_region(chunk, chunk, {0, on_kv_side(tensor) ? shape.kv_heads : shape.heads});
}

RegionId ScheduleBuilder::chunk_region(Rank first, Rank last, HeadRange heads) {
  const int pieces = schedule_.problem.pieces();
  std::vector<Cell> cells(static_cast<std::size_t>((last - first + 1) * pieces));
  std::iota(cells.begin(), cells.end(), static_cast<Cell>(first * pieces));
  return region(cells, heads);
}

ValueId ScheduleBuilder::declare(Rank rank, Tensor tensor, RegionId region, Dtype dtype) {
  schedule_.values.push_back({rank, region, tensor, dtype});
  return static_cast<ValueId>(schedule_.values.size() - 1);
}

ValueId ScheduleBuilder::input(Rank rank, Tensor tensor, RegionId region, Dtype dtype) {
  const ValueId v = declare(rank, tensor, region, dtype);
  schedule_.inputs.push_back(v);
  return v;
}

namespace {

/// Appends all items. @returns the index of the first.
template <typename T>
std::uint32_t append_all(std::vector<T>& list, std::span<const T> items) {
  list.insert(list.end(), items.begin(), items.end());
  return static_cast<std::uint32_t>(list.size() - items.size());
}

}  // namespace

std::uint32_t ScheduleBuilder::add_row(AttendRow row) {
  return append_all(schedule_.rows, std::span<const AttendRow>(&row, 1));
}
std::uint32_t ScheduleBuilder::add_column(ValueId kv) {
  return append_all(schedule_.columns, std::span<const ValueId>(&kv, 1));
}
std::uint32_t ScheduleBuilder::add_row(BackwardRow row) {
  return append_all(schedule_.backward_rows, std::span<const BackwardRow>(&row, 1));
}
std::uint32_t ScheduleBuilder::add_column(BackwardColumn column) {
  return append_all(schedule_.backward_columns, std::span<const BackwardColumn>(&column, 1));
}

void ScheduleBuilder::attend(Rank rank, std::span<const AttendRow> rows, std::span<const ValueId> columns) {
  push(rank, Attend{append_all(schedule_.rows, rows), append_all(schedule_.columns, columns),
                    static_cast<std::uint16_t>(rows.size()), static_cast<std::uint16_t>(columns.size())});
}

void ScheduleBuilder::attend_backward(Rank rank, std::span<const BackwardRow> rows,
                                      std::span<const BackwardColumn> columns) {
  push(rank, AttendBackward{append_all(schedule_.backward_rows, rows), append_all(schedule_.backward_columns, columns),
                            static_cast<std::uint16_t>(rows.size()), static_cast<std::uint16_t>(columns.size())});
}

ValueId ScheduleBuilder::delta(ValueId o, ValueId d_o, RegionId part) {
  const Rank rank = value(o).rank;
  const ValueId made = declare(rank, Tensor::kDelta, part, Dtype::kFp32);
  push(rank, Delta{o, d_o, made});
  return made;
}

ValueId ScheduleBuilder::combine(std::span<const ValueId> sources, RegionId region, Dtype dtype) {
  const Value v = value(sources.front());
  const ValueId made = declare(v.rank, v.tensor, region, dtype);
  const std::uint32_t first = append_all(schedule_.combine_sources, sources);
  push(v.rank, Combine{first, static_cast<std::uint32_t>(sources.size()), made});
  return made;
}

TransferId ScheduleBuilder::transfer(ValueId source, RegionId part, Rank to, Lane lane) {
  const Value v = value(source);
  const ValueId made = declare(to, v.tensor, part, v.dtype);
  schedule_.transfers.push_back({source, made, lane});
  return static_cast<TransferId>(schedule_.transfers.size() - 1);
}

void ScheduleBuilder::exchange(Rank rank, std::span<const TransferId> transfers) {
  push(rank,
       Exchange{append_all(schedule_.exchange_transfers, transfers), static_cast<std::uint32_t>(transfers.size())});
}

void ScheduleBuilder::exchange_all(std::span<const TransferId> transfers) {
  std::vector<Rank> participants;
  const auto add = [&](Rank rank, TransferId t) {
    std::vector<TransferId>& list = by_rank_[static_cast<std::size_t>(rank)];
    if (list.empty()) participants.push_back(rank);
    list.push_back(t);
  };
  for (TransferId t : transfers) {
    add(value(schedule_.transfers[t].source).rank, t);
    add(value(made(t)).rank, t);
  }
  for (Rank rank : participants) {
    std::vector<TransferId>& list = by_rank_[static_cast<std::size_t>(rank)];
    exchange(rank, list);
    list.clear();
  }
}

Schedule ScheduleBuilder::finish() {
  std::size_t total = 0;
  for (const auto& list : ops_) total += list.size();
  schedule_.ops.reserve(total);
  schedule_.first_op.push_back(0);
  for (auto& list : ops_) {
    schedule_.ops.insert(schedule_.ops.end(), list.begin(), list.end());
    schedule_.first_op.push_back(static_cast<std::uint32_t>(schedule_.ops.size()));
    list = {};
  }
  std::sort(schedule_.outputs.begin(), schedule_.outputs.end());
  return std::move(schedule_);
}

}  // namespace meshattn
