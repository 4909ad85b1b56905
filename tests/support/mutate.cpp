#include "tests/support/mutate.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <map>

namespace meshattn::testing {

namespace {

class Mutator {
 public:
  Mutator(const Schedule& schedule, std::mt19937& random) : s_(schedule), random_(random) {}

  Mutant run() {
    using Mutation = std::string (Mutator::*)();
    static constexpr Mutation kMutations[] = {
        &Mutator::drop_op,        &Mutator::swap_ops,        &Mutator::double_op,         &Mutator::move_op,
        &Mutator::shrink_value,   &Mutator::shrink_transfer, &Mutator::resize_rectangle,  &Mutator::edit_combine,
        &Mutator::edit_exchange,  &Mutator::edit_outputs,    &Mutator::retarget_transfer, &Mutator::retarget_rectangle,
        &Mutator::retarget_merge, &Mutator::retarget_wait,   &Mutator::drop_wait,         &Mutator::drop_wait,
        &Mutator::shift_value,    &Mutator::shift_value,     &Mutator::change_lane,       &Mutator::change_value,
        &Mutator::change_heads,   &Mutator::change_part};
    std::string what;
    while (what.empty()) what = (this->*kMutations[below(std::size(kMutations))])();
    return {std::move(s_), std::move(what)};
  }

 private:
  struct ListedOp {
    Op op;
    OpId was;  ///< kNone for a copy
  };
  using Lists = std::vector<std::vector<ListedOp>>;  ///< by rank

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  template <typename Items>
  auto& any(Items& items) {
    return items[below(std::size(items))];
  }
  std::uint32_t id_below(std::size_t n) { return static_cast<std::uint32_t>(below(n)); }

  /// Another value, usually one that could be meant: same rank and tensor.
  ValueId other(ValueId v) {
    std::vector<ValueId> like;
    for (ValueId o = 0; o < s_.values.size(); ++o)
      if (o != v && s_.values[o].rank == s_.values[v].rank && s_.values[o].tensor == s_.values[v].tensor)
        like.push_back(o);
    return like.empty() || below(8) == 0 ? id_below(s_.values.size()) : any(like);
  }

  template <typename Kind>
  Kind* any_op() {
    std::vector<Kind*> those;
    for (Op& op : s_.ops)
      if (auto* it = std::get_if<Kind>(&op)) those.push_back(it);
    return those.empty() ? nullptr : any(those);
  }

  Lists take_apart() const;
  void put_together(const Lists& lists);
  std::vector<ListedOp>* any_list(Lists& lists, std::size_t least);

  std::string drop_op();
  std::string swap_ops();
  std::string double_op();
  std::string move_op();
  std::string shrink(ValueId v);
  std::string shrink_value() { return shrink(id_below(s_.values.size())); }
  std::string shrink_transfer() { return s_.transfers.empty() ? "" : shrink(any(s_.transfers).made); }
  template <typename Rectangle, typename Rows, typename Columns>
  std::string resize(Rectangle& rect, const Rows& rows, const Columns& columns);
  std::string resize_rectangle();
  std::string edit_combine();
  std::string edit_exchange();
  std::string edit_outputs();
  std::string retarget_transfer();
  std::string retarget_rectangle();
  std::string retarget_merge();
  std::string retarget_wait();
  std::string drop_wait();
  std::string shift_value();
  std::string change_lane();
  std::string change_value();
  std::string change_heads();
  std::string change_part();

  Schedule s_;
  std::mt19937& random_;
};

Mutator::Lists Mutator::take_apart() const {
  Lists lists(static_cast<std::size_t>(s_.problem.ranks));
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank)
    for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank); ++op)
      lists[static_cast<std::size_t>(rank)].push_back({s_.ops[op], op});
  return lists;
}

/// Waits go with their ops.
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

std::string Mutator::double_op() {
  Lists lists = take_apart();
  auto* list = any_list(lists, 1);
  if (list == nullptr) return {};
  const std::size_t at = below(list->size()), to = at + 1 + below(list->size() - at);
  ListedOp copy{(*list)[at].op, kNone};
  list->insert(list->begin() + static_cast<std::ptrdiff_t>(to), copy);
  put_together(lists);
  return fmt::format("double op {}, {} later", (*list)[at].was, to - at);
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

std::string Mutator::shrink(ValueId v) {
  const Region r = s_.region(v);
  std::vector<Cell> cells(r.cells.begin(), r.cells.end());
  HeadRange heads = r.heads;
  if (cells.size() > 1 && (heads.end - heads.begin == 1 || below(2) == 0))
    cells.erase(cells.begin() + static_cast<std::ptrdiff_t>(below(cells.size())));
  else if (heads.end - heads.begin > 1)
    below(2) == 0 ? --heads.end : ++heads.begin;
  else
    return {};
  s_.values[v].region = s_.regions.intern(cells, heads);
  return fmt::format("shrink value {}", v);
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
    return fmt::format("merge value {} twice", s_.combine_sources[at]);
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

std::string Mutator::edit_outputs() {
  if (s_.outputs.empty() || below(4) == 0) {
    s_.outputs.push_back(id_below(s_.values.size()));
    std::ranges::sort(s_.outputs);
    return "add an output";
  }
  const auto at = s_.outputs.begin() + static_cast<std::ptrdiff_t>(below(s_.outputs.size()));
  if (below(2) == 0) {
    s_.outputs.erase(at);
    return "drop an output";
  }
  *at = other(*at);
  std::ranges::sort(s_.outputs);
  return "hand out another value";
}

std::string Mutator::retarget_transfer() {
  if (s_.transfers.empty()) return {};
  Transfer& t = any(s_.transfers);
  ValueId& v = below(2) == 0 ? t.source : t.made;
  const ValueId was = v;
  v = other(v);
  return fmt::format("transfer {} instead of {}", v, was);
}

/// The rectangle gets lists of its own, so that no other op changes.
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

std::string Mutator::retarget_merge() {
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

std::string Mutator::retarget_wait() {
  if (s_.waits.empty()) return {};
  ReuseWait& w = any(s_.waits);
  const Rank rank = s_.rank_of(w.op);
  const OpId was = w.after;
  w.after = s_.ops_begin(rank) +
            id_below(below(3) == 0 ? s_.ops_end(rank) - s_.ops_begin(rank) : w.op - s_.ops_begin(rank) + 1);
  return fmt::format("op {} waits for {} instead of {}", w.op, w.after, was);
}

std::string Mutator::drop_wait() {
  if (s_.waits.empty()) return {};
  const auto at = s_.waits.begin() + static_cast<std::ptrdiff_t>(below(s_.waits.size()));
  const ReuseWait was = *at;
  s_.waits.erase(at);
  return fmt::format("op {} does not wait for {}", was.op, was.after);
}

std::string Mutator::shift_value() {
  if (s_.offset.empty()) return {};
  const ValueId v = id_below(s_.values.size());
  const ValueId to = other(v);
  const std::uint64_t was = s_.offset[v];
  if (below(2) == 0)
    s_.offset[v] = s_.offset[to];
  else
    s_.offset[v] = below(2) == 0 ? was + 2 : was - std::min<std::uint64_t>(was, 256);
  return fmt::format("put value {} at {} instead of {}", v, s_.offset[v], was);
}

/// Of one transfer, or of all that exchanges tie to it.
std::string Mutator::change_lane() {
  if (s_.transfers.empty()) return {};
  std::vector<bool> chosen(s_.transfers.size());
  chosen[below(chosen.size())] = true;
  const bool one = below(3) == 0;
  for (bool grew = !one; grew;) {
    grew = false;
    for (const Op& op : s_.ops) {
      const auto* x = std::get_if<Exchange>(&op);
      if (x == nullptr) continue;
      const auto list = s_.transfers_of(*x);
      if (std::ranges::none_of(list, [&](TransferId t) { return chosen[t]; })) continue;
      for (TransferId t : list) {
        grew |= !chosen[t];
        chosen[t] = true;
      }
    }
  }
  const auto lane = static_cast<Lane>(below(10) == 0 ? 0 : 2);
  for (TransferId t = 0; t < chosen.size(); ++t)
    if (chosen[t]) s_.transfers[t].lane = lane;
  return fmt::format("move {} to lane {}", one ? "a transfer" : "all transfers tied to one", lane);
}

std::string Mutator::change_value() {
  const ValueId v = id_below(s_.values.size());
  Value& value = s_.values[v];
  switch (below(3)) {
    case 0:
      value.dtype = value.dtype == Dtype::kFp32 ? Dtype::kBf16 : Dtype::kFp32;
      return fmt::format("change the dtype of value {}", v);
    case 1:
      value.rank = static_cast<Rank>(below(static_cast<std::size_t>(s_.problem.ranks)));
      return fmt::format("put value {} on rank {}", v, value.rank);
    default:
      value.region = s_.values[other(v)].region;
      return fmt::format("give value {} another region", v);
  }
}

std::string Mutator::change_heads() {
  const ValueId v = id_below(s_.values.size());
  const Region r = s_.region(v);
  const std::int32_t most = on_kv_side(s_.values[v].tensor) ? s_.problem.shape.kv_heads : s_.problem.shape.heads;
  const auto begin = static_cast<std::int32_t>(below(static_cast<std::size_t>(most)));
  const HeadRange heads{begin, begin + 1 + static_cast<std::int32_t>(below(static_cast<std::size_t>(most - begin)))};
  if (heads == r.heads) return {};
  s_.values[v].region = s_.regions.intern(std::vector(r.cells.begin(), r.cells.end()), heads);
  return fmt::format("give value {} heads {} to {}", v, heads.begin, heads.end);
}

/// What is made of a part of a value is made of another part, or of all of it.
std::string Mutator::change_part() {
  std::vector<std::pair<ValueId, ValueId>> parts;  // source, made
  const auto add = [&](ValueId source, ValueId made) {
    if (s_.values[source].region != s_.values[made].region) parts.push_back({source, made});
  };
  for (const Transfer& t : s_.transfers) add(t.source, t.made);
  for (const Op& op : s_.ops)
    if (const auto* c = std::get_if<Combine>(&op))
      for (ValueId source : s_.sources_of(*c)) add(source, c->made);
  if (parts.empty()) return {};
  const auto [source, made] = any(parts);
  const Region from = s_.region(source), to = s_.region(made);
  std::vector<Cell> cells(to.cells.begin(), to.cells.end());
  HeadRange heads = to.heads;
  switch (below(4)) {
    case 0:  // the part beside it
      heads = {heads.end, 2 * heads.end - heads.begin};
      if (heads.end > from.heads.end) heads = {from.heads.begin, from.heads.begin + heads.end - heads.begin};
      if (heads.end > from.heads.end) return {};
      break;
    case 1:
      heads = from.heads;
      break;
    case 2:
      cells.assign(from.cells.begin(), from.cells.end());
      break;
    default:
      any(cells) = from.cells[below(from.cells.size())];
      std::ranges::sort(cells);
      if (std::ranges::adjacent_find(cells) != cells.end()) return {};
  }
  const RegionId was = s_.values[made].region;
  s_.values[made].region = s_.regions.intern(cells, heads);
  return s_.values[made].region == was ? "" : fmt::format("make value {} of another part of value {}", made, source);
}

}  // namespace

Mutant mutate(const Schedule& schedule, std::mt19937& random) { return Mutator(schedule, random).run(); }

}  // namespace meshattn::testing
