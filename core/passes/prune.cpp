#include "core/passes/prune.h"

#include <algorithm>
#include <numeric>

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

/// Finds what the mask leaves of a schedule, then writes that down as a new one.
class Pruner {
 public:
  explicit Pruner(const Schedule& schedule);
  Schedule run();

 private:
  [[nodiscard]] std::span<std::uint8_t> kept(ValueId v) {
    return {kept_.data() + first_[v], first_[v + 1] - first_[v]};
  }
  [[nodiscard]] bool any_kept(ValueId v) { return std::ranges::count(kept(v), 1) > 0; }
  /// What v is combined from, if it is.
  [[nodiscard]] std::span<const ValueId> sources(ValueId v) const {
    if (combined_by_[v] == kNone) return {};
    return s_.sources_of(std::get<Combine>(s_.ops[combined_by_[v]]));
  }
  void keep(ValueId v, Cell cell);
  void keep_all(ValueId from, ValueId to);

  template <typename Row, typename Column>
  bool block_left(const Row& row, const Column& column, bool mark);
  void mark_blocks();
  void mark_sums();
  void mark_received();

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
  const Problem& p_;
  std::vector<std::uint32_t> first_;  ///< of each value's flags in kept_
  std::vector<std::uint8_t> kept_;    ///< per value and cell of its region: 1 if it stays
  std::vector<OpId> combined_by_;     ///< by value: the Combine that makes it, or kNone
  std::vector<ValueId> new_id_;       ///< kNone for what goes
  std::vector<TransferId> new_transfer_;
  Schedule out_;
  ListCopy<AttendRow> rows_;
  ListCopy<ValueId> columns_;
  ListCopy<BackwardRow> backward_rows_;
  ListCopy<BackwardColumn> backward_columns_;
  std::vector<std::uint32_t> row_list_, column_list_;
};

Pruner::Pruner(const Schedule& schedule)
    : s_(schedule),
      p_(schedule.problem),
      rows_(schedule.rows.size()),
      columns_(schedule.columns.size()),
      backward_rows_(schedule.backward_rows.size()),
      backward_columns_(schedule.backward_columns.size()) {
  first_.reserve(s_.values.size() + 1);
  first_.push_back(0);
  for (ValueId v = 0; v < s_.values.size(); ++v)
    first_.push_back(first_.back() + static_cast<std::uint32_t>(s_.region(v).cells.size()));
  kept_.assign(first_.back(), 0);
  combined_by_.assign(s_.values.size(), kNone);
  for (OpId op = 0; op < s_.ops.size(); ++op)
    if (const auto* c = std::get_if<Combine>(&s_.ops[op])) combined_by_[c->made] = op;
}

void Pruner::keep(ValueId v, Cell cell) {
  const std::span<const Cell> cells = s_.region(v).cells;
  const auto at = std::ranges::lower_bound(cells, cell);
  if (at != cells.end() && *at == cell) kept(v)[static_cast<std::size_t>(at - cells.begin())] = 1;
}

void Pruner::keep_all(ValueId from, ValueId to) {
  const std::span<const Cell> cells = s_.region(from).cells;
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (kept(from)[i] != 0) keep(to, cells[i]);
}

ValueId kv_of(ValueId column) { return column; }
ValueId kv_of(const BackwardColumn& column) { return column.kv; }

/// Whether the mask leaves anything of row × column. With `mark`, keeps the cells that its blocks read and make.
template <typename Row, typename Column>
bool Pruner::block_left(const Row& row, const Column& column, bool mark) {
  bool left = false;
  for (Cell q : s_.region(row.q).cells) {
    for (Cell kv : s_.region(kv_of(column)).cells) {
      if (p_.block(q, kv).kind == Block::Kind::kEmpty) continue;
      if (!mark) return true;
      left = true;
      keep(kv_of(column), kv);
      keep(row.q, q);
      if constexpr (std::is_same_v<Row, BackwardRow>) {
        for (ValueId v : {row.d_o, row.delta, row.dq}) keep(v, q);
        keep(column.dkv, kv);
      } else {
        keep(row.o, q);
      }
    }
  }
  return left;
}

void Pruner::mark_blocks() {
  const auto mark = [&](const auto& rect) {
    for (const auto& row : s_.rows_of(rect))
      for (const auto& column : s_.columns_of(rect)) block_left(row, column, true);
  };
  for (const Op& op : s_.ops) {
    if (const auto* a = std::get_if<Attend>(&op)) mark(*a);
    if (const auto* b = std::get_if<AttendBackward>(&op)) mark(*b);
  }
}

/// Partials carry on what reached them: sources have smaller ids than what is made of them.
void Pruner::mark_sums() {
  std::vector<ValueId> received_from(s_.values.size(), kNone);
  for (const Transfer& t : s_.transfers)
    if (is_partial(s_.values[t.made].tensor)) received_from[t.made] = t.source;
  for (ValueId v = 0; v < s_.values.size(); ++v) {
    for (ValueId source : sources(v)) keep_all(source, v);
    if (received_from[v] != kNone) keep_all(received_from[v], v);
  }
}

/// What is not a sum is kept where somebody further on needs it. Inputs and deltas stay whole at their owner.
void Pruner::mark_received() {
  std::vector<bool> received(s_.values.size());
  for (const Transfer& t : s_.transfers) received[t.made] = true;
  // Descending made ids: what is forwarded is needed before it is known what its source must hold.
  std::vector<TransferId> order(s_.transfers.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, std::greater{}, [&](TransferId t) { return s_.transfers[t].made; });
  for (TransferId t : order)
    if (!is_partial(s_.values[s_.transfers[t].made].tensor)) keep_all(s_.transfers[t].made, s_.transfers[t].source);
  for (ValueId v = 0; v < s_.values.size(); ++v)
    if (!received[v] && !is_partial(s_.values[v].tensor)) std::ranges::fill(kept(v), std::uint8_t{1});
  for (ValueId v : s_.inputs) std::ranges::fill(kept(v), std::uint8_t{1});
}

/// The one partial that is left of what v is combined from, if v would be no more than a copy of it; else kNone.
ValueId Pruner::only_source(ValueId v) const {
  ValueId only = kNone;
  for (ValueId source : sources(v)) {
    if (new_id_[source] == kNone) continue;
    if (only != kNone || s_.values[source].dtype != s_.values[v].dtype) return kNone;
    only = source;
  }
  return only;
}

void Pruner::write_values() {
  new_id_.assign(s_.values.size(), kNone);
  std::vector<Cell> cells;
  for (ValueId v = 0; v < s_.values.size(); ++v) {
    const Region region = s_.region(v);
    cells.clear();
    for (std::size_t i = 0; i < region.cells.size(); ++i)
      if (kept(v)[i] != 0) cells.push_back(region.cells[i]);
    if (cells.empty()) continue;
    if (const ValueId source = only_source(v); source != kNone) {
      new_id_[v] = new_id_[source];
      continue;
    }
    Value value = s_.values[v];
    value.region = out_.regions.intern(cells, region.heads);
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
      if (block_left(rows[i], columns[j], false)) row_left[i] = column_left[j] = true;
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
  for (ValueId source : s_.sources_of(op))
    if (new_id_[source] != kNone) out_.combine_sources.push_back(new_id_[source]);
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
  for (Rank rank = 0; rank < p_.ranks; ++rank) {
    for (OpId id = s_.ops_begin(rank); id < s_.ops_end(rank); ++id) {
      Op op = s_.ops[id];
      if (std::visit([&](auto& what) { return rewrite(what); }, op)) out_.ops.push_back(op);
    }
    out_.first_op.push_back(static_cast<std::uint32_t>(out_.ops.size()));
  }
}

Schedule Pruner::run() {
  out_.problem = p_;
  mark_blocks();
  mark_sums();
  mark_received();
  write_values();
  write_transfers();
  write_ops();
  return std::move(out_);
}

}  // namespace

Schedule prune(Schedule schedule) {
  if (schedule.problem.mask == Mask::kFull) return schedule;
  return Pruner(schedule).run();
}

}  // namespace meshattn
