#include "core/schedule/passes/prune.h"

#include <algorithm>

#include "core/schedule/passes/needed_cells.h"

namespace meshattn {

namespace {

/// Copies sub-lists of one operand list into another. A sub-list that was copied before is found, not copied again.
template <typename Item>
class ListCopy {
 public:
  explicit ListCopy(std::size_t size) : copied_to_(size, kNone) {}

  /// `indices` into the old list; `translate` maps an old index to a new item. @returns the first new index.
  template <typename Translate>
  std::uint32_t copy(std::span<const std::uint32_t> indices, std::vector<Item>& to, Translate&& translate) {
    const std::uint32_t known = copied_to_[indices.front()];
    bool found = known != kNone;
    for (std::size_t i = 0; i < indices.size() && found; ++i) found = copied_to_[indices[i]] == known + i;
    if (found) return known;
    const auto first = static_cast<std::uint32_t>(to.size());
    for (std::uint32_t index : indices) {
      copied_to_[index] = static_cast<std::uint32_t>(to.size());
      to.push_back(translate(index));
    }
    return first;
  }

 private:
  std::vector<std::uint32_t> copied_to_;
};

/// Writes the needed part of a schedule as a new schedule.
class Pruner {
 public:
  explicit Pruner(const Schedule& schedule)
      : s_(schedule),
        needed_(schedule),
        rows_(schedule.rows.size()),
        columns_(schedule.columns.size()),
        backward_rows_(schedule.backward_rows.size()),
        backward_columns_(schedule.backward_columns.size()) {}

  Schedule run();

 private:
  [[nodiscard]] ValueId only_source(ValueId v) const;
  void write_values();
  void write_transfers();
  void write_ops();
  template <typename Rectangle, typename Rows, typename Columns>
  bool shrink(Rectangle& rect, const Rows& rows, const Columns& columns);
  bool rewrite(Attend& op);
  bool rewrite(AttendBackward& op);
  bool rewrite(Delta& op);
  bool rewrite(Combine& op);
  bool rewrite(Exchange& op);

  const Schedule& s_;
  const NeededCells needed_;
  std::vector<ValueId> new_id_;           ///< by old value; kNone if it is removed
  std::vector<TransferId> new_transfer_;  ///< by old transfer; kNone if it is removed
  Schedule out_;
  ListCopy<AttendRow> rows_;
  ListCopy<ValueId> columns_;
  ListCopy<BackwardRow> backward_rows_;
  ListCopy<BackwardColumn> backward_columns_;
  std::vector<std::uint32_t> row_list_, column_list_;  ///< of the rectangle being shrunk: indices into the old lists
};

/// The only needed source of v, if combining it would do no more than copy all of it; otherwise kNone.
ValueId Pruner::only_source(ValueId v) const {
  const std::vector<ValueId> sources = needed_.sources_of(v);
  if (sources.size() != 1) return kNone;
  const ValueId only = sources.front();
  const bool copy = s_.values[only].dtype == s_.values[v].dtype && s_.region(only).heads == s_.region(v).heads &&
                    needed_.cells_of(only) == needed_.cells_of(v);
  return copy ? only : kNone;
}

void Pruner::write_values() {
  new_id_.assign(s_.values.size(), kNone);
  for (ValueId v = 0; v < s_.values.size(); ++v) {
    const std::vector<Cell> cells = needed_.cells_of(v);
    if (cells.empty()) continue;
    if (const ValueId source = only_source(v); source != kNone) {
      new_id_[v] = new_id_[source];
      continue;
    }
    Value value = s_.values[v];
    value.region = out_.regions.intern(cells, s_.region(v).heads);
    new_id_[v] = static_cast<ValueId>(out_.values.size());
    out_.values.push_back(value);
  }
  const auto translate = [&](std::span<const ValueId> from, std::vector<ValueId>& to) {
    for (ValueId v : from)
      if (new_id_[v] != kNone) to.push_back(new_id_[v]);
  };
  translate(s_.inputs, out_.inputs);
  translate(s_.outputs, out_.outputs);
  std::ranges::sort(out_.outputs);  // the source of a removed copy has a smaller id
}

void Pruner::write_transfers() {
  new_transfer_.assign(s_.transfers.size(), kNone);
  for (TransferId t = 0; t < s_.transfers.size(); ++t) {
    const Transfer& transfer = s_.transfers[t];
    if (new_id_[transfer.made] == kNone) continue;
    new_transfer_[t] = static_cast<TransferId>(out_.transfers.size());
    out_.transfers.push_back({new_id_[transfer.source], new_id_[transfer.made], transfer.lane});
  }
}

/// Reduces a rectangle to the rows and columns that have blocks, and lists these in row_list_ and column_list_.
/// @returns false if no block is left.
template <typename Rectangle, typename Rows, typename Columns>
bool Pruner::shrink(Rectangle& rect, const Rows& rows, const Columns& columns) {
  std::vector<bool> has_row(rows.size()), has_column(columns.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < columns.size(); ++j) {
      if (has_row[i] && has_column[j]) continue;
      if (needed_.any_block(rows[i], columns[j])) has_row[i] = has_column[j] = true;
    }
  }
  row_list_.clear();
  column_list_.clear();
  for (std::uint32_t i = 0; i < rows.size(); ++i)
    if (has_row[i]) row_list_.push_back(rect.first_row + i);
  for (std::uint32_t j = 0; j < columns.size(); ++j)
    if (has_column[j]) column_list_.push_back(rect.first_column + j);
  rect.row_count = static_cast<std::uint16_t>(row_list_.size());
  rect.column_count = static_cast<std::uint16_t>(column_list_.size());
  return !row_list_.empty();
}

bool Pruner::rewrite(Attend& op) {
  if (!shrink(op, s_.rows_of(op), s_.columns_of(op))) return false;
  op.first_row = rows_.copy(row_list_, out_.rows, [&](std::uint32_t i) {
    return AttendRow{new_id_[s_.rows[i].q], new_id_[s_.rows[i].o]};
  });
  op.first_column = columns_.copy(column_list_, out_.columns, [&](std::uint32_t i) { return new_id_[s_.columns[i]]; });
  return true;
}

bool Pruner::rewrite(AttendBackward& op) {
  if (!shrink(op, s_.rows_of(op), s_.columns_of(op))) return false;
  op.first_row = backward_rows_.copy(row_list_, out_.backward_rows, [&](std::uint32_t i) {
    const BackwardRow& row = s_.backward_rows[i];
    return BackwardRow{new_id_[row.q], new_id_[row.d_o], new_id_[row.delta], new_id_[row.dq]};
  });
  op.first_column = backward_columns_.copy(column_list_, out_.backward_columns, [&](std::uint32_t i) {
    const BackwardColumn& column = s_.backward_columns[i];
    return BackwardColumn{new_id_[column.kv], new_id_[column.dkv]};
  });
  return true;
}

bool Pruner::rewrite(Delta& op) {
  op = {new_id_[op.o], new_id_[op.d_o], new_id_[op.made]};
  return true;
}

bool Pruner::rewrite(Combine& op) {
  if (new_id_[op.made] == kNone || only_source(op.made) != kNone) return false;
  const auto first = static_cast<std::uint32_t>(out_.combine_sources.size());
  for (ValueId source : needed_.sources_of(op.made)) out_.combine_sources.push_back(new_id_[source]);
  op = {first, static_cast<std::uint32_t>(out_.combine_sources.size()) - first, new_id_[op.made]};
  return true;
}

bool Pruner::rewrite(Exchange& op) {
  const auto first = static_cast<std::uint32_t>(out_.exchange_transfers.size());
  for (TransferId t : s_.transfers_of(op))
    if (new_transfer_[t] != kNone) out_.exchange_transfers.push_back(new_transfer_[t]);
  op = {first, static_cast<std::uint32_t>(out_.exchange_transfers.size()) - first};
  return op.count > 0;
}

void Pruner::write_ops() {
  out_.first_op.push_back(0);
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank) {
    for (OpId id = s_.ops_begin(rank); id < s_.ops_end(rank); ++id) {
      Op op = s_.ops[id];
      if (std::visit([&](auto& what) { return rewrite(what); }, op)) out_.ops.push_back(op);
    }
    out_.first_op.push_back(static_cast<std::uint32_t>(out_.ops.size()));
  }
}

Schedule Pruner::run() {
  out_.problem = s_.problem;
  write_values();
  write_transfers();
  write_ops();
  return std::move(out_);
}

}  // namespace

Schedule prune(Schedule schedule) {
  if (schedule.problem.mask.is_full()) return schedule;
  return Pruner(schedule).run();
}

}  // namespace meshattn
