#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/schedule/passes/verify/checks.h"

namespace meshattn::verification {

namespace {

class StructureCheck {
 public:
  StructureCheck(const Schedule& s, Findings& found) : s_(s), p_(s.problem), found_(found) {}

  void run() {
    if (!check_problem() || !check_op_lists()) return;
    check_regions();
    check_values();
    check_transfers();
    check_lists();
    for_each_op(s_, found_, [&](Rank rank, OpId op, const Op& step) {
      std::visit([&](const auto& x) { check_op(rank, op, x); }, step);
    });
    check_inputs_and_outputs();
    check_waits();
    if (!s_.offset.empty() && s_.offset.size() != s_.values.size())
      bad_schedule("{} of {} values have an offset in memory", s_.offset.size(), s_.values.size());
  }

 private:
  /// Adds a finding that belongs to no rank.
  template <typename... Args>
  void bad_schedule(fmt::format_string<Args...> what, Args&&... args) {
    found_.add({0, kNone, kNone, fmt::format(what, std::forward<Args>(args)...)});
  }
  void bad_op(Rank rank, OpId op, std::string_view what) {
    found_.add({rank, op, kNone, fmt::format("op {} of rank {} {}", op, rank, what)});
  }

  bool check_problem();
  bool check_op_lists();
  void check_regions();
  void check_values();
  void check_transfers();
  void check_lists();
  void check_inputs_and_outputs();
  void check_waits();

  template <typename List>
  void check_ids(std::string_view list, const List& ids, std::size_t end);
  template <typename Rectangle, typename Rows, typename Columns>
  void check_rectangle(Rank rank, OpId op, const Rectangle& rect, const Rows& rows, const Columns& columns);
  void check_op(Rank rank, OpId op, const Attend& a) { check_rectangle(rank, op, a, s_.rows, s_.columns); }
  void check_op(Rank rank, OpId op, const AttendBackward& a) {
    check_rectangle(rank, op, a, s_.backward_rows, s_.backward_columns);
  }
  void check_op(Rank rank, OpId op, const Delta& d);
  void check_op(Rank rank, OpId op, const Combine& c);
  void check_op(Rank rank, OpId op, const Exchange& x);

  [[nodiscard]] bool is_value(ValueId v) const { return v < s_.values.size(); }

  const Schedule& s_;
  const Problem& p_;
  Findings& found_;
};

/// Bounds the sizes, so that numbers of pairs, rows and bytes never overflow 64 bits. @returns false on a finding.
bool StructureCheck::check_problem() {
  const AttentionShape& shape = p_.shape;
  if (p_.partition > Partition::kDocumentZigzag || p_.pass > Pass::kBackward || shape.dtype > Dtype::kFp32) {
    bad_schedule("the problem has a partition, pass or dtype that does not exist");
    return false;
  }
  if (shape.seq_q > INT32_MAX || shape.seq_kv > INT32_MAX || p_.ranks > (1 << 24) || shape.head_dim > (1 << 16) ||
      shape.heads > (1 << 20) || shape.batch > (1 << 20) ||
      1.0 * static_cast<double>(shape.seq_kv) * shape.heads * shape.head_dim * shape.batch > 0x1p58) {
    bad_schedule("the problem is too large to count its bytes");
    return false;
  }
  try {
    check(p_);
  } catch (const InvalidInput& error) {
    bad_schedule("{}", error.what());
    return false;
  }
  return true;
}

bool StructureCheck::check_op_lists() {
  const std::vector<std::uint32_t>& first = s_.first_op;
  for (std::size_t size : {s_.ops.size(), s_.values.size(), s_.transfers.size()})
    if (size >= kNone - 1) bad_schedule("{} ops, values or transfers are more than ids can name", size);
  if (first.size() != static_cast<std::size_t>(p_.ranks) + 1)
    bad_schedule("the ops are listed for {} ranks of {}", static_cast<std::int64_t>(first.size()) - 1, p_.ranks);
  else if (first.front() != 0 || first.back() != s_.ops.size() || !std::ranges::is_sorted(first))
    bad_schedule("the op lists of the ranks do not follow one another from op 0 to op {}", s_.ops.size());
  return found_.empty();
}

void StructureCheck::check_regions() {
  for (RegionId id = 0; id < s_.regions.size() && !found_.full(); ++id) {
    const Region r = s_.regions[id];
    const bool ascending = std::ranges::adjacent_find(r.cells, std::greater_equal<Cell>()) == r.cells.end();
    if (r.cells.empty() || !ascending || r.cells.back() >= p_.cells())
      bad_schedule("region {} is not an ascending list of some of the {} cells", id, p_.cells());
    if (r.heads.begin < 0 || r.heads.begin >= r.heads.end || r.heads.end > p_.shape.heads)
      bad_schedule("region {} has heads {} to {} of {}", id, r.heads.begin, r.heads.end, p_.shape.heads);
  }
}

void StructureCheck::check_values() {
  for (ValueId v = 0; v < s_.values.size() && !found_.full(); ++v) {
    const Value& value = s_.values[v];
    const auto bad = [&](std::string what) { found_.add({value.rank, kNone, v, std::move(what)}); };
    if (value.rank < 0 || value.rank >= p_.ranks)
      bad(fmt::format("value {} is on rank {} of {}", v, value.rank, p_.ranks));
    if (value.tensor > Tensor::kDKV || value.dtype > Dtype::kFp32)
      bad(fmt::format("value {} has a tensor or dtype that does not exist", v));
    else if (value.region >= s_.regions.size())
      bad(fmt::format("value {} has region {} of {}", v, value.region, s_.regions.size()));
    else if (on_kv_side(value.tensor) && s_.regions[value.region].heads.end > p_.shape.kv_heads)
      bad(fmt::format("{} has head {} of {}", describe(s_, v), s_.regions[value.region].heads.end - 1,
                      p_.shape.kv_heads));
  }
}

void StructureCheck::check_transfers() {
  for (TransferId t = 0; t < s_.transfers.size() && !found_.full(); ++t) {
    const Transfer& transfer = s_.transfers[t];
    if (!is_value(transfer.source) || !is_value(transfer.made))
      bad_schedule("transfer {} names values {} and {} of {}", t, transfer.source, transfer.made, s_.values.size());
    if (transfer.lane == kComputeLane) bad_schedule("transfer {} is on the compute lane", t);
  }
}

template <typename List>
void StructureCheck::check_ids(std::string_view list, const List& ids, std::size_t end) {
  const auto bad = std::ranges::find_if(ids, [&](std::uint32_t id) { return id >= end; });
  if (bad != ids.end()) bad_schedule("the list of {} names {} of {}", list, *bad, end);
}

void StructureCheck::check_lists() {
  check_ids("columns", s_.columns, s_.values.size());
  check_ids("combined values", s_.combine_sources, s_.values.size());
  check_ids("exchanged transfers", s_.exchange_transfers, s_.transfers.size());
  check_ids("inputs", s_.inputs, s_.values.size());
  check_ids("outputs", s_.outputs, s_.values.size());
  const auto is_row = [&](const AttendRow& row) { return is_value(row.q) && is_value(row.o); };
  if (!std::ranges::all_of(s_.rows, is_row)) bad_schedule("a row names a value that does not exist");
  const auto is_backward_row = [&](const BackwardRow& row) {
    return is_value(row.q) && is_value(row.d_o) && is_value(row.delta) && is_value(row.dq);
  };
  if (!std::ranges::all_of(s_.backward_rows, is_backward_row))
    bad_schedule("a backward row names a value that does not exist");
  const auto is_column = [&](const BackwardColumn& column) { return is_value(column.kv) && is_value(column.dkv); };
  if (!std::ranges::all_of(s_.backward_columns, is_column))
    bad_schedule("a backward column names a value that does not exist");
}

template <typename Rectangle, typename Rows, typename Columns>
void StructureCheck::check_rectangle(Rank rank, OpId op, const Rectangle& rect, const Rows& rows,
                                     const Columns& columns) {
  if (rect.row_count == 0 || rect.column_count == 0) bad_op(rank, op, "attends no rows or no columns");
  if (std::uint64_t{rect.first_row} + rect.row_count > rows.size() ||
      std::uint64_t{rect.first_column} + rect.column_count > columns.size())
    bad_op(rank, op, "has rows or columns beyond the end of their list");
}

void StructureCheck::check_op(Rank rank, OpId op, const Delta& d) {
  if (!is_value(d.o) || !is_value(d.d_o) || !is_value(d.made)) bad_op(rank, op, "names a value that does not exist");
}

void StructureCheck::check_op(Rank rank, OpId op, const Combine& c) {
  if (!is_value(c.made)) bad_op(rank, op, "makes a value that does not exist");
  if (c.source_count == 0) bad_op(rank, op, "combines nothing");
  if (std::uint64_t{c.first_source} + c.source_count > s_.combine_sources.size())
    bad_op(rank, op, "combines beyond the end of the list");
}

void StructureCheck::check_op(Rank rank, OpId op, const Exchange& x) {
  if (x.count == 0) bad_op(rank, op, "exchanges nothing");
  if (std::uint64_t{x.first} + x.count > s_.exchange_transfers.size())
    bad_op(rank, op, "exchanges beyond the end of the list");
}

void StructureCheck::check_inputs_and_outputs() {
  const auto ascends = [](const std::vector<ValueId>& ids) {
    return std::ranges::adjacent_find(ids, std::greater_equal<ValueId>()) == ids.end();
  };
  if (!ascends(s_.inputs)) bad_schedule("the inputs are not in ascending order");
  if (!ascends(s_.outputs)) bad_schedule("the outputs are not in ascending order");
}

void StructureCheck::check_waits() {
  Rank rank = 0;
  OpId last = 0;
  for (const ReuseWait& wait : s_.waits) {
    if (found_.full()) return;
    if (wait.op >= s_.ops.size() || wait.after >= s_.ops.size() || wait.op < last) {
      bad_schedule("the reuse wait of op {} for op {} is out of order or names an op that does not exist", wait.op,
                   wait.after);
      return;
    }
    last = wait.op;
    while (wait.op >= s_.ops_end(rank)) ++rank;
    if (wait.after >= wait.op || wait.after < s_.ops_begin(rank))
      bad_op(rank, wait.op, fmt::format("waits for op {}, which is not listed before it on its rank", wait.after));
  }
}

}  // namespace

void check_structure(const Schedule& s, Findings& found) { StructureCheck(s, found).run(); }

}  // namespace meshattn::verification
