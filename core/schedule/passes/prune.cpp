#include "core/schedule/passes/prune.h"

#include <algorithm>

#include "core/schedule/passes/kept.h"

namespace meshattn {

namespace {

/// Copies sub-lists of one operand list into another; a sub-list that is there already is named, not copied.
template <typename Item>
class ListCopy {
 public:
  explicit ListCopy(std::size_t size) : copied_to_(size, kNone) {}

  /// `indices` into the old list; `translate` turns an old item into a new one. @returns the first new index.
  template <typename Translate>
  std::uint32_t copy(std::span<const std::uint32_t> indices, std::vector<Item>& to, Translate&& translate) {
    const std::uint32_t known = copied_to_[indices.front()];
    bool there = known != kNone;
    for (std::size_t i = 0; i < indices.size() && there; ++i) there = copied_to_[indices[i]] == known + i;
    if (there) return known;
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

/// Writes down what stays of a schedule as a new one.
class Pruner {
 public:
  explicit Pruner(const Schedule& schedule)
      : s_(schedule),
        kept_(schedule),
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
  const Kept kept_;
  std::vector<ValueId> new_id_;  ///< kNone for what goes
  std::vector<TransferId> new_transfer_;
  Schedule out_;
  ListCopy<AttendRow> rows_;
  ListCopy<ValueId> columns_;
  ListCopy<BackwardRow> backward_rows_;
  ListCopy<BackwardColumn> backward_columns_;
  std::vector<std::uint32_t> row_list_, column_list_;
};

/// The one partial that is left of what v is combined from, if v would be no more than a copy of all of it; else kNone.
ValueId Pruner::only_source(ValueId v) const {
  const std::vector<ValueId> sources = kept_.sources_of(v);
  if (sources.size() != 1) return kNone;
  const ValueId only = sources.front();
  const bool copy = s_.values[only].dtype == s_.values[v].dtype && s_.region(only).heads == s_.region(v).heads &&
                    kept_.cells_of(only) == kept_.cells_of(v);
  return copy ? only : kNone;
}

void Pruner::write_values() {
  new_id_.assign(s_.values.size(), kNone);
  for (ValueId v = 0; v < s_.values.size(); ++v) {
    const std::vector<Cell> cells = kept_.cells_of(v);
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
  std::ranges::sort(out_.outputs);  // a copy that went has an older id
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

/// Reduces a rectangle to the rows and columns that the mask leaves something of, listed in row_list_ and column_list_.
template <typename Rectangle, typename Rows, typename Columns>
bool Pruner::shrink(Rectangle& rect, const Rows& rows, const Columns& columns) {
  std::vector<bool> row_left(rows.size()), column_left(columns.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < columns.size(); ++j) {
      if (row_left[i] && column_left[j]) continue;
      if (kept_.any_block(rows[i], columns[j])) row_left[i] = column_left[j] = true;
    }
  }
  row_list_.clear();
  column_list_.clear();
  for (std::uint32_t i = 0; i < rows.size(); ++i)
    if (row_left[i]) row_list_.push_back(rect.first_row + i);
  for (std::uint32_t j = 0; j < columns.size(); ++j)
    if (column_left[j]) column_list_.push_back(rect.first_column + j);
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
  for (ValueId source : kept_.sources_of(op.made)) out_.combine_sources.push_back(new_id_[source]);
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
