#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <initializer_list>

#include "core/schedule/passes/verify/checks.h"

namespace meshattn::verification {

namespace {

class OperandCheck {
 public:
  OperandCheck(const Schedule& s, Findings& found)
      : s_(s), found_(found), forward_(s.problem.pass == Pass::kForward), group_(s.problem.shape.group()) {}

  void check(Rank rank, OpId op, const Op& step) {
    rank_ = rank;
    op_ = op;
    std::visit([&](const auto& x) { check(x); }, step);
  }

 private:
  void check(const Attend& a);
  void check(const AttendBackward& a);
  void check(const Delta& d);
  void check(const Combine& c);
  void check(const Exchange& x);
  void check(const Transfer& t);

  template <typename Columns>
  void gather_columns(const Columns& columns);
  void check_row(ValueId accumulator, std::initializer_list<ValueId> reads);
  void check_accumulator(ValueId v, Tensor tensor);
  void check_union(const Combine& c, const Region& made);

  void bad(ValueId v, std::string what) {
    found_.add(
        {rank_, op_, v,
         fmt::format("op {} of rank {}: {} {}", op_, rank_, v == kNone ? std::string("it") : describe(s_, v), what)});
  }
  void expect(ValueId v, Tensor tensor) {
    if (s_.values[v].tensor != tensor) bad(v, fmt::format("is used as {}", name_of(tensor)));
    expect_here(v);
  }
  void expect_here(ValueId v) {
    if (s_.values[v].rank != rank_) bad(v, fmt::format("is on rank {}", s_.values[v].rank));
  }
  void expect_larger(ValueId made, ValueId from) {
    if (made <= from) bad(made, fmt::format("is made from {}: made values have larger ids", describe(s_, from)));
  }
  [[nodiscard]] bool covers(ValueId outer, ValueId inner) const {
    return s_.values[outer].region == s_.values[inner].region || contains(s_.region(outer), s_.region(inner));
  }
  [[nodiscard]] bool overlaps(ValueId a, ValueId b) const {
    return s_.values[a].region == s_.values[b].region || overlap(s_.region(a), s_.region(b));
  }

  const Schedule& s_;
  Findings& found_;
  const bool forward_;
  const int group_;
  Rank rank_ = 0;
  OpId op_ = 0;
  HeadRange heads_;        ///< key/value heads that all columns of the op have
  ValueId last_column_{};  ///< largest id among the columns of the op
};

template <typename Columns>
void OperandCheck::gather_columns(const Columns& columns) {
  heads_ = {0, s_.problem.shape.kv_heads};
  last_column_ = 0;
  for (const auto& column : columns) {
    const ValueId kv = kv_of(column);
    expect(kv, Tensor::kKV);
    const HeadRange heads = s_.region(kv).heads;
    heads_ = {std::max(heads_.begin, heads.begin), std::min(heads_.end, heads.end)};
    last_column_ = std::max(last_column_, kv);
  }
}

/// The row attends the heads of its accumulator: every value that it reads must have them, and query head h needs
/// key/value head h / group of every column.
void OperandCheck::check_row(ValueId accumulator, std::initializer_list<ValueId> reads) {
  const HeadRange heads = s_.region(accumulator).heads;
  for (ValueId v : reads) {
    const HeadRange mine = s_.region(v).heads;
    if (heads.begin < mine.begin || heads.end > mine.end)
      bad(v, fmt::format("lacks heads of {}, which its row contributes to", describe(s_, accumulator)));
  }
  if (heads.begin < heads_.begin * group_ || heads.end > heads_.end * group_)
    bad(accumulator, "has heads whose keys some column of the op lacks");
  expect_larger(accumulator, std::max(std::max(reads), last_column_));
}

void OperandCheck::check_accumulator(ValueId v, Tensor tensor) {
  expect(v, tensor);
  if (s_.values[v].dtype != Dtype::kFp32)
    bad(v, fmt::format("accumulates blocks in {}, not in fp32", name_of(s_.values[v].dtype)));
}

void OperandCheck::check(const Attend& a) {
  if (!forward_) bad(kNone, "attends forward in a backward pass");
  gather_columns(s_.columns_of(a));
  for (const AttendRow& row : s_.rows_of(a)) {
    if (found_.full()) return;
    expect(row.q, Tensor::kQ);
    check_accumulator(row.o, Tensor::kO);
    check_row(row.o, {row.q});
  }
}

void OperandCheck::check(const AttendBackward& a) {
  if (forward_) bad(kNone, "attends backward in a forward pass");
  gather_columns(s_.columns_of(a));
  ValueId last_row = 0;
  HeadRange heads{s_.problem.shape.heads, 0};  // attended by the rows
  for (const BackwardRow& row : s_.rows_of(a)) {
    if (found_.full()) return;
    expect(row.q, Tensor::kQ);
    expect(row.d_o, Tensor::kDO);
    expect(row.delta, Tensor::kDelta);
    check_accumulator(row.dq, Tensor::kDQ);
    check_row(row.dq, {row.q, row.d_o, row.delta});
    last_row = std::max({last_row, row.q, row.d_o, row.delta});
    const HeadRange mine = s_.region(row.dq).heads;
    heads = {std::min(heads.begin, mine.begin), std::max(heads.end, mine.end)};
  }
  for (const BackwardColumn& column : s_.columns_of(a)) {
    if (found_.full()) return;
    check_accumulator(column.dkv, Tensor::kDKV);
    const HeadRange own = s_.region(column.dkv).heads;
    if (own.begin > heads.begin / group_ || own.end <= (heads.end - 1) / group_)
      bad(column.dkv, "lacks heads that the rows of the op attend");
    expect_larger(column.dkv, std::max(last_row, last_column_));
  }
}

void OperandCheck::check(const Delta& d) {
  if (forward_) bad(kNone, "makes delta in a forward pass");
  expect(d.o, Tensor::kO);
  expect(d.d_o, Tensor::kDO);
  expect(d.made, Tensor::kDelta);
  for (ValueId from : {d.o, d.d_o})
    if (!covers(from, d.made)) bad(d.made, fmt::format("has rows that {} lacks", describe(s_, from)));
  expect_larger(d.made, std::max(d.o, d.d_o));
}

/// Every (cell, head) of `made` is in some source.
void OperandCheck::check_union(const Combine& c, const Region& made) {
  for (Cell cell : made.cells) {
    std::int32_t reached = made.heads.begin;
    for (bool grew = true; grew && reached < made.heads.end;) {
      grew = false;
      for (ValueId v : s_.sources_of(c)) {
        const Region r = s_.region(v);
        if (r.heads.begin > reached || r.heads.end <= reached || !std::ranges::binary_search(r.cells, cell)) continue;
        reached = r.heads.end;
        grew = true;
      }
    }
    if (reached >= made.heads.end) continue;
    bad(c.made, fmt::format("has cell {}, head {}, which none of its sources has", cell, reached));
    return;
  }
}

void OperandCheck::check(const Combine& c) {
  const Value& made = s_.values[c.made];
  expect_here(c.made);
  if (!is_partial(s_, c.made)) bad(c.made, "is not a partial of this pass");
  bool whole = false;
  for (ValueId v : s_.sources_of(c)) {
    if (found_.full()) return;
    expect(v, made.tensor);
    expect_larger(c.made, v);
    if (!overlaps(v, c.made)) bad(v, fmt::format("has no row of {}, which it is combined into", describe(s_, c.made)));
    whole |= covers(v, c.made);
  }
  if (!whole) check_union(c, s_.region(c.made));
}

void OperandCheck::check(const Exchange& x) {
  const Lane lane = s_.transfers[s_.exchange_transfers[x.first]].lane;
  for (TransferId t : s_.transfers_of(x)) {
    if (found_.full()) return;
    const Transfer& transfer = s_.transfers[t];
    if (transfer.lane != lane)
      bad(transfer.made, fmt::format("travels on lane {}, others of the exchange on {}", transfer.lane, lane));
    const bool sends = s_.values[transfer.source].rank == rank_;
    if (!sends && s_.values[transfer.made].rank != rank_)
      bad(transfer.made, fmt::format("is copied from {} between other ranks", describe(s_, transfer.source)));
    if (sends) check(transfer);
  }
}

void OperandCheck::check(const Transfer& t) {
  const Value &source = s_.values[t.source], &made = s_.values[t.made];
  if (source.rank == made.rank) bad(t.made, "is sent to its own rank");
  if (source.tensor != made.tensor || source.dtype != made.dtype)
    bad(t.made, fmt::format("is a copy of {}, which has another tensor or dtype", describe(s_, t.source)));
  if (!covers(t.source, t.made)) bad(t.made, fmt::format("has more than {}, which it copies", describe(s_, t.source)));
  expect_larger(t.made, t.source);
}

}  // namespace

void check_operands(const Schedule& s, Findings& found) {
  OperandCheck check(s, found);
  for_each_op(s, found, [&](Rank rank, OpId op, const Op& step) { check.check(rank, op, step); });
}

}  // namespace meshattn::verification
