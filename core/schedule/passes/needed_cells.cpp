#include "core/schedule/passes/needed_cells.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <type_traits>

namespace meshattn {

NeededCells::NeededCells(const Schedule& schedule) : s_(schedule), blocks_(schedule.problem) {
  first_.reserve(s_.values.size() + 1);
  first_.push_back(0);
  for (ValueId v = 0; v < s_.values.size(); ++v)
    first_.push_back(first_.back() + static_cast<std::uint32_t>(s_.region(v).cells.size()));
  flags_.assign(first_.back(), 0);
  combined_by_.assign(s_.values.size(), kNone);
  for (OpId op = 0; op < s_.ops.size(); ++op)
    if (const auto* c = std::get_if<Combine>(&s_.ops[op])) combined_by_[c->made] = op;
  for (ValueId v : s_.inputs) std::ranges::fill(flags(v), std::uint8_t{1});
  mark_all_blocks();
  mark_partials();
  mark_other_values();
}

std::vector<Cell> NeededCells::cells_of(ValueId v) const {
  const std::span<const Cell> all = s_.region(v).cells;
  std::vector<Cell> cells;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (flags_[first_[v] + i] != 0) cells.push_back(all[i]);
  return cells;
}

std::vector<ValueId> NeededCells::sources_of(ValueId v) const {
  std::vector<ValueId> needed;
  for (ValueId source : combined_into(v)) {
    const std::span<const Cell> cells = s_.region(source).cells;
    bool any = false;
    for (std::size_t i = 0; i < cells.size() && !any; ++i)
      any = flags_[first_[source] + i] != 0 && std::ranges::binary_search(s_.region(v).cells, cells[i]);
    if (any) needed.push_back(source);
  }
  return needed;
}

std::span<const ValueId> NeededCells::combined_into(ValueId v) const {
  if (combined_by_[v] == kNone) return {};
  return s_.sources_of(std::get<Combine>(s_.ops[combined_by_[v]]));
}

void NeededCells::mark_cell(ValueId v, Cell cell) {
  const std::span<const Cell> cells = s_.region(v).cells;
  const auto at = std::ranges::lower_bound(cells, cell);
  if (at != cells.end() && *at == cell) flags(v)[static_cast<std::size_t>(at - cells.begin())] = 1;
}

void NeededCells::mark_cells_of(ValueId from, ValueId to) {
  const std::span<const Cell> cells = s_.region(from).cells;
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (flags(from)[i] != 0) mark_cell(to, cells[i]);
}

template <typename Row, typename Column>
bool NeededCells::any_block(const Row& row, const Column& column) const {
  for (Cell q : s_.region(row.q).cells)
    for (Cell kv : s_.region(kv_of(column)).cells)
      if (blocks_.any(q, kv)) return true;
  return false;
}

template bool NeededCells::any_block(const AttendRow&, const ValueId&) const;
template bool NeededCells::any_block(const BackwardRow&, const BackwardColumn&) const;

/// Marks the cells that the blocks of row × column read and contribute to.
template <typename Row, typename Column>
void NeededCells::mark_blocks(const Row& row, const Column& column) {
  const std::span<const Cell> q_cells = s_.region(row.q).cells, kv_cells = s_.region(kv_of(column)).cells;
  const std::span<std::uint8_t> q_needed = flags(row.q), kv_needed = flags(kv_of(column));
  for (std::size_t i = 0; i < q_cells.size(); ++i) {
    bool any = false;
    for (std::size_t j = 0; j < kv_cells.size(); ++j) {
      if (!blocks_.any(q_cells[i], kv_cells[j])) continue;
      any = true;
      kv_needed[j] = 1;
      if constexpr (std::is_same_v<Column, BackwardColumn>) mark_cell(column.dkv, kv_cells[j]);
    }
    if (!any) continue;
    q_needed[i] = 1;
    if constexpr (std::is_same_v<Row, BackwardRow>)
      for (ValueId v : {row.d_o, row.delta, row.dq}) mark_cell(v, q_cells[i]);
    else
      mark_cell(row.o, q_cells[i]);
  }
}

void NeededCells::mark_all_blocks() {
  const auto mark_all = [&](const auto& rect) {
    for (const auto& row : s_.rows_of(rect))
      for (const auto& column : s_.columns_of(rect)) mark_blocks(row, column);
  };
  for (const Op& op : s_.ops) {
    if (const auto* a = std::get_if<Attend>(&op)) mark_all(*a);
    if (const auto* b = std::get_if<AttendBackward>(&op)) mark_all(*b);
  }
}

/// A partial needs the cells of its sources. Sources have smaller ids than the values made from them, so one ascending
/// walk suffices.
void NeededCells::mark_partials() {
  std::vector<ValueId> received_from(s_.values.size(), kNone);
  for (const Transfer& t : s_.transfers)
    if (is_partial(s_.values[t.made].tensor)) received_from[t.made] = t.source;
  for (ValueId v = 0; v < s_.values.size(); ++v) {
    for (ValueId source : combined_into(v)) mark_cells_of(source, v);
    if (received_from[v] != kNone) mark_cells_of(received_from[v], v);
  }
}

/// Other values need the cells that ops further on read. Inputs and deltas stay whole on the rank that makes them.
void NeededCells::mark_other_values() {
  std::vector<bool> received(s_.values.size());
  for (const Transfer& t : s_.transfers) received[t.made] = true;
  for (ValueId v = 0; v < s_.values.size(); ++v)
    if (!received[v] && !is_partial(s_.values[v].tensor)) std::ranges::fill(flags(v), std::uint8_t{1});
  for (const Op& op : s_.ops)
    if (const auto* d = std::get_if<Delta>(&op)) mark_cells_of(d->made, d->o), mark_cells_of(d->made, d->d_o);
  // In descending order of the made value: its needed cells must be known before those of its source.
  std::vector<TransferId> order(s_.transfers.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, std::greater{}, [&](TransferId t) { return s_.transfers[t].made; });
  for (TransferId t : order)
    if (!is_partial(s_.values[s_.transfers[t].made].tensor))
      mark_cells_of(s_.transfers[t].made, s_.transfers[t].source);
}

}  // namespace meshattn
