#include "core/schedule_builder.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace meshattn {

ScheduleBuilder::ScheduleBuilder(const Problem& problem) : ops_(static_cast<std::size_t>(problem.ranks)) {
  check(problem);
  schedule_.problem = problem;
}

RegionId ScheduleBuilder::chunk_region(Rank chunk, Tensor tensor) {
  const Problem& p = schedule_.problem;
  std::vector<Cell> cells(static_cast<std::size_t>(p.pieces()));
  std::iota(cells.begin(), cells.end(), static_cast<Cell>(chunk * p.pieces()));
  return region(cells, {0, on_kv_side(tensor) ? p.shape.kv_heads : p.shape.heads});
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

template <typename T>
std::uint32_t append(std::vector<T>& list, T item) {
  list.push_back(item);
  return static_cast<std::uint32_t>(list.size() - 1);
}

}  // namespace

std::uint32_t ScheduleBuilder::add_row(AttendRow row) { return append(schedule_.rows, row); }
std::uint32_t ScheduleBuilder::add_column(ValueId kv) { return append(schedule_.columns, kv); }
std::uint32_t ScheduleBuilder::add_row(BackwardRow row) { return append(schedule_.backward_rows, row); }
std::uint32_t ScheduleBuilder::add_column(BackwardColumn column) { return append(schedule_.backward_columns, column); }

ValueId ScheduleBuilder::delta(ValueId o, ValueId d_o, RegionId part) {
  const Rank rank = value(o).rank;
  const ValueId made = declare(rank, Tensor::kDelta, part, Dtype::kFp32);
  push(rank, Delta{o, d_o, made});
  return made;
}

ValueId ScheduleBuilder::combine(std::span<const ValueId> sources, RegionId region, Dtype dtype) {
  const Value v = value(sources.front());
  const ValueId made = declare(v.rank, v.tensor, region, dtype);
  const auto first = static_cast<std::uint32_t>(schedule_.combine_sources.size());
  schedule_.combine_sources.insert(schedule_.combine_sources.end(), sources.begin(), sources.end());
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
  const auto first = static_cast<std::uint32_t>(schedule_.exchange_transfers.size());
  schedule_.exchange_transfers.insert(schedule_.exchange_transfers.end(), transfers.begin(), transfers.end());
  push(rank, Exchange{first, static_cast<std::uint32_t>(transfers.size())});
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
