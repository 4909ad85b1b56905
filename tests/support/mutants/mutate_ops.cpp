#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "tests/support/mutants/mutator.h"

/// Mutations of ops and of their operand lists.
namespace meshattn::testing {

Mutator::Lists Mutator::take_apart() const {
  Lists lists(static_cast<std::size_t>(s_.problem.ranks));
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank)
    for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank); ++op)
      lists[static_cast<std::size_t>(rank)].push_back({s_.ops[op], op});
  return lists;
}

/// Waits follow their ops; waits of dropped ops are dropped.
void Mutator::put_together(const Lists& lists) {
  std::map<OpId, OpId> now;
  s_.ops.clear();
  s_.first_op.assign(1, 0);
  for (const auto& list : lists) {
    for (const ListedOp& listed : list) {
      if (listed.was != kNone) now[listed.was] = static_cast<OpId>(s_.ops.size());
      s_.ops.push_back(listed.op);
    }
    s_.first_op.push_back(static_cast<OpId>(s_.ops.size()));
  }
  std::erase_if(s_.waits, [&](const ReuseWait& w) { return !now.contains(w.op) || !now.contains(w.after); });
  for (ReuseWait& w : s_.waits) w = {now[w.op], now[w.after]};
  std::ranges::stable_sort(s_.waits, {}, &ReuseWait::op);
}

std::vector<Mutator::ListedOp>* Mutator::any_list(Lists& lists, std::size_t least) {
  auto& list = any(lists);
  return list.size() < least ? nullptr : &list;
}

std::string Mutator::drop_op() {
  Lists lists = take_apart();
  auto* list = any_list(lists, 1);
  if (list == nullptr) return {};
  const auto at = list->begin() + static_cast<std::ptrdiff_t>(below(list->size()));
  const OpId was = at->was;
  list->erase(at);
  put_together(lists);
  return fmt::format("drop op {}", was);
}

std::string Mutator::swap_ops() {
  Lists lists = take_apart();
  auto* list = any_list(lists, 2);
  if (list == nullptr) return {};
  const std::size_t at = below(list->size() - 1);
  std::swap((*list)[at], (*list)[at + 1]);
  put_together(lists);
  return fmt::format("swap op {} with the one before", (*list)[at].was);
}

std::string Mutator::duplicate_op() {
  Lists lists = take_apart();
  auto* list = any_list(lists, 1);
  if (list == nullptr) return {};
  const std::size_t at = below(list->size()), to = at + 1 + below(list->size() - at);
  ListedOp copy{(*list)[at].op, kNone};
  list->insert(list->begin() + static_cast<std::ptrdiff_t>(to), copy);
  put_together(lists);
  return fmt::format("duplicate op {}, {} later", (*list)[at].was, to - at);
}

std::string Mutator::move_op() {
  Lists lists = take_apart();
  auto* list = any_list(lists, 3);
  if (list == nullptr) return {};
  const std::size_t from = below(list->size()), to = below(list->size());
  const auto begin = list->begin();
  const auto f = static_cast<std::ptrdiff_t>(from), t = static_cast<std::ptrdiff_t>(to);
  const OpId was = (*list)[from].was;
  if (f < t)
    std::rotate(begin + f, begin + f + 1, begin + t + 1);
  else
    std::rotate(begin + t, begin + f, begin + f + 1);
  put_together(lists);
  return fmt::format("move op {} from {} to {}", was, from, to);
}

template <typename Rectangle, typename Rows, typename Columns>
std::string Mutator::resize(Rectangle& rect, const Rows& rows, const Columns& columns) {
  const std::size_t how = below(6);
  if (how == 0 && rect.row_count > 1) return --rect.row_count, "drop the last row";
  if (how == 1 && rect.row_count > 1) return --rect.row_count, ++rect.first_row, "drop the first row";
  if (how == 2 && rect.column_count > 1) return --rect.column_count, "drop the last column";
  if (how == 3 && rect.column_count > 1) return --rect.column_count, ++rect.first_column, "drop the first column";
  if (how == 4 && rect.first_row + rect.row_count < rows.size()) return ++rect.row_count, "add a row";
  if (how == 5 && rect.first_column + rect.column_count < columns.size()) return ++rect.column_count, "add a column";
  return {};
}

std::string Mutator::resize_rectangle() {
  if (s_.problem.pass == Pass::kForward) {
    Attend* a = any_op<Attend>();
    return a == nullptr ? "" : resize(*a, s_.rows, s_.columns);
  }
  AttendBackward* a = any_op<AttendBackward>();
  return a == nullptr ? "" : resize(*a, s_.backward_rows, s_.backward_columns);
}

std::string Mutator::edit_combine() {
  Combine* c = any_op<Combine>();
  if (c == nullptr) return {};
  const std::uint32_t at = c->first_source + id_below(c->source_count);
  if (below(3) == 0) {
    s_.combine_sources[at] = s_.combine_sources[c->first_source];
    return fmt::format("combine value {} twice", s_.combine_sources[at]);
  }
  if (c->source_count < 2) return {};
  std::swap(s_.combine_sources[at], s_.combine_sources[c->first_source + c->source_count - 1]);
  if (below(3) > 0) --c->source_count;
  return "reorder sources of a combine, perhaps drop one";
}

std::string Mutator::edit_exchange() {
  Exchange* x = any_op<Exchange>();
  if (x == nullptr) return {};
  std::swap(s_.exchange_transfers[x->first], s_.exchange_transfers[x->first + below(x->count)]);
  switch (below(4)) {
    case 0:
      --x->count;
      return "drop a transfer of an exchange";
    case 1:
      ++x->first, --x->count;
      return "drop another transfer of an exchange";
    case 2:
      s_.exchange_transfers[x->first] = id_below(s_.transfers.size());
      return "exchange another transfer";
    default:
      return "reorder an exchange";
  }
}

/// Gives the rectangle its own operand lists, so that no other op changes.
std::string Mutator::retarget_rectangle() {
  const auto own = [](auto& list, std::uint32_t& first, std::uint16_t count) {
    const std::vector items(list.begin() + first, list.begin() + first + count);
    first = static_cast<std::uint32_t>(list.size());
    list.insert(list.end(), items.begin(), items.end());
  };
  const auto change = [&](ValueId& v) {
    const ValueId was = v;
    v = other(v);
    return fmt::format("attend {} instead of {}", v, was);
  };
  if (Attend* a = any_op<Attend>()) {
    own(s_.rows, a->first_row, a->row_count);
    own(s_.columns, a->first_column, a->column_count);
    AttendRow& row = s_.rows[a->first_row + below(a->row_count)];
    ValueId* const ids[] = {&row.q, &row.o, &s_.columns[a->first_column + below(a->column_count)]};
    return change(*any(ids));
  }
  if (AttendBackward* a = any_op<AttendBackward>()) {
    own(s_.backward_rows, a->first_row, a->row_count);
    own(s_.backward_columns, a->first_column, a->column_count);
    BackwardRow& row = s_.backward_rows[a->first_row + below(a->row_count)];
    BackwardColumn& column = s_.backward_columns[a->first_column + below(a->column_count)];
    ValueId* const ids[] = {&row.q, &row.d_o, &row.delta, &row.dq, &column.kv, &column.dkv};
    return change(*any(ids));
  }
  return {};
}

std::string Mutator::retarget_combine_or_delta() {
  Delta* d = any_op<Delta>();
  Combine* c = any_op<Combine>();
  if (d != nullptr && below(2) == 0) {
    ValueId* const ids[] = {&d->o, &d->d_o, &d->made};
    ValueId& v = *any(ids);
    v = other(v);
    return "delta of or into another value";
  }
  if (c == nullptr) return {};
  ValueId& v = below(2) == 0 ? c->made : s_.combine_sources[c->first_source + below(c->source_count)];
  v = other(v);
  return "combine from or into another value";
}

}  // namespace meshattn::testing
