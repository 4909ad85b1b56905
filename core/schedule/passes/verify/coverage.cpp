#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/problem/block_map.h"
#include "core/schedule/passes/verify/checks.h"

/// Why every output is complete:
/// * A block contributes, with the heads of its row's accumulator, to rows of that accumulator, which is a partial.
/// * `check_dataflow` and `check_operands` prove that each (cell, head) of a partial is in an output or is read exactly
///   once, by a transfer or a combine. The value made is a partial of the same tensor, has that (cell, head) and has a
///   larger id.
/// * So each contribution moves along one chain of partials. The chain ends in one output with its cell and head.
/// * Outputs of a tensor are disjoint, so all contributions to a (cell, head) end in the same output, each once.
/// This file proves the rest: each block that the mask leaves is attended exactly once, its accumulators have its cell
/// (`check_operands` proves their heads), and the outputs cover every (cell, head). O of a backward pass is an input
/// and no partial; it may be copied freely.
namespace meshattn::verification {

namespace {

/// Schedules with more blocks × head atoms (1 GiB of bits) are not proved.
constexpr double kMaxBits = 0x1p33;

/// Atoms: the query heads, cut wherever the head range of some value begins or ends. Every value has whole atoms only.
/// There is one atom if no value is sliced by heads.
class HeadAtoms {
 public:
  explicit HeadAtoms(const Schedule& s)
      : group_(static_cast<std::uint32_t>(s.problem.shape.group())),
        before_(static_cast<std::size_t>(s.problem.shape.heads) + 1) {
    std::vector<bool> as_q(s.regions.size()), as_kv(s.regions.size());
    for (const Value& v : s.values) (on_kv_side(v.tensor) ? as_kv : as_q)[v.region] = true;
    for (RegionId id = 0; id < s.regions.size(); ++id) {
      const HeadRange heads = s.regions[id].heads;
      for (std::int32_t h : {heads.begin, heads.end}) {
        if (as_q[id]) before_[static_cast<std::size_t>(h)] = 1;
        if (as_kv[id]) before_[static_cast<std::size_t>(h) * group_] = 1;
      }
    }
    before_.front() = 0;
    before_.back() = 1;
    for (std::size_t h = 1; h < before_.size(); ++h) before_[h] += before_[h - 1];
  }

  [[nodiscard]] std::uint32_t count() const { return before_.back(); }

  /// The heads of a value are the atoms first … second − 1.
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> of(HeadRange heads, bool kv_side) const {
    const std::uint32_t scale = kv_side ? group_ : 1;
    return {before_[static_cast<std::uint32_t>(heads.begin) * scale],
            before_[static_cast<std::uint32_t>(heads.end) * scale]};
  }

 private:
  std::uint32_t group_;
  std::vector<std::uint32_t> before_;  ///< by query head: atoms that end at it or before
};

/// A set of numbers below a bound.
class BitSet {
 public:
  explicit BitSet(std::uint64_t size) : words_(size / 64 + 1) {}
  /// @returns false if i was in the set.
  bool insert(std::uint64_t i) {
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    const bool fresh = (words_[i / 64] & bit) == 0;
    words_[i / 64] |= bit;
    return fresh;
  }
  [[nodiscard]] bool has(std::uint64_t i) const { return (words_[i / 64] >> (i % 64) & 1) != 0; }

 private:
  std::vector<std::uint64_t> words_;
};

class CoverageCheck {
 public:
  CoverageCheck(const Schedule& s, Findings& found)
      : s_(s), found_(found), cells_(s.problem.cells()), blocks_(s.problem), atoms_(s) {}

  void run();

 private:
  /// A row or column of a rectangle: the value whose cells it attends, and the values that must have these cells too.
  struct RowOrColumn {
    ValueId data;         ///< Q or KV
    ValueId accumulator;  ///< kNone for a column of the forward pass
    ValueId d_o = kNone;
    ValueId delta = kNone;
    bool attended = false;
  };
  struct ColumnCell {
    Cell cell;
    std::uint32_t column;
    bool attended = false;
  };

  [[nodiscard]] std::uint64_t bit(Cell q, Cell kv, std::uint32_t atom) const {
    return (std::uint64_t{q} * cells_ + kv) * atoms_.count() + atom;
  }

  void check_op(Rank rank, OpId op, const Op& step);
  void gather(const Attend& a);
  void gather(const AttendBackward& a);
  void check_rectangle(Rank rank, OpId op);
  void check_cell(Rank rank, OpId op, const RowOrColumn& line, Cell cell);
  bool attend_row(Rank rank, OpId op, Cell q, std::pair<std::uint32_t, std::uint32_t> heads);
  void expect_cell(Rank rank, OpId op, const RowOrColumn& line, ValueId v, Cell cell);
  void expect_attended(Rank rank, OpId op, const RowOrColumn& line);
  void check_all_attended();
  void check_outputs(Tensor tensor);

  const Schedule& s_;
  Findings& found_;
  const Cell cells_;
  const BlockMap blocks_;
  HeadAtoms atoms_;
  BitSet attended_{0};
  // The rectangle being checked:
  std::vector<RowOrColumn> rows_, columns_;
  std::vector<ColumnCell> column_cells_;
};

void CoverageCheck::gather(const Attend& a) {
  for (const AttendRow& row : s_.rows_of(a)) rows_.push_back({row.q, row.o});
  for (ValueId kv : s_.columns_of(a)) columns_.push_back({kv, kNone});
}

void CoverageCheck::gather(const AttendBackward& a) {
  for (const BackwardRow& row : s_.rows_of(a)) rows_.push_back({row.q, row.dq, row.d_o, row.delta});
  for (const BackwardColumn& column : s_.columns_of(a)) columns_.push_back({column.kv, column.dkv});
}

void CoverageCheck::check_op(Rank rank, OpId op, const Op& step) {
  const auto* forward = std::get_if<Attend>(&step);
  const auto* backward = std::get_if<AttendBackward>(&step);
  if (forward == nullptr && backward == nullptr) return;
  rows_.clear();
  columns_.clear();
  column_cells_.clear();
  if (forward != nullptr) gather(*forward);
  if (backward != nullptr) gather(*backward);
  for (std::uint32_t i = 0; i < columns_.size(); ++i)
    for (Cell cell : s_.region(columns_[i].data).cells) column_cells_.push_back({cell, i});
  check_rectangle(rank, op);
}

void CoverageCheck::check_rectangle(Rank rank, OpId op) {
  for (RowOrColumn& row : rows_) {
    const Region q = s_.region(row.data);
    const auto heads = atoms_.of(s_.region(row.accumulator).heads, false);
    for (Cell cell : q.cells) {
      if (found_.full()) return;
      if (!attend_row(rank, op, cell, heads)) continue;
      row.attended = true;
      check_cell(rank, op, row, cell);
    }
    expect_attended(rank, op, row);
  }
  for (const ColumnCell& kv : column_cells_) {
    if (!kv.attended) continue;
    columns_[kv.column].attended = true;
    check_cell(rank, op, columns_[kv.column], kv.cell);
  }
  for (const RowOrColumn& column : columns_) expect_attended(rank, op, column);
}

/// Marks the blocks of one q cell × all columns as attended. @returns whether the mask leaves any.
bool CoverageCheck::attend_row(Rank rank, OpId op, Cell q, std::pair<std::uint32_t, std::uint32_t> heads) {
  bool any = false;
  for (ColumnCell& kv : column_cells_) {
    if (!blocks_.any(q, kv.cell)) continue;
    any = kv.attended = true;
    for (std::uint32_t atom = heads.first; atom < heads.second; ++atom) {
      if (attended_.insert(bit(q, kv.cell, atom))) continue;
      found_.add({rank, op, columns_[kv.column].data,
                  fmt::format("op {} of rank {} attends q cell {} × kv cell {}, which was attended before", op, rank, q,
                              kv.cell)});
      break;
    }
  }
  return any;
}

void CoverageCheck::check_cell(Rank rank, OpId op, const RowOrColumn& line, Cell cell) {
  for (ValueId v : {line.accumulator, line.d_o, line.delta})
    if (v != kNone) expect_cell(rank, op, line, v, cell);
}

void CoverageCheck::expect_cell(Rank rank, OpId op, const RowOrColumn& line, ValueId v, Cell cell) {
  if (s_.values[v].region == s_.values[line.data].region) return;
  if (!std::ranges::binary_search(s_.region(v).cells, cell))
    found_.add({rank, op, v,
                fmt::format("op {} of rank {} attends cell {}, which {} lacks", op, rank, cell, describe(s_, v))});
}

void CoverageCheck::expect_attended(Rank rank, OpId op, const RowOrColumn& line) {
  if (!line.attended)
    found_.add({rank, op, line.data,
                fmt::format("op {} of rank {} lists {}, which has no block under the mask", op, rank,
                            describe(s_, line.data))});
}

void CoverageCheck::check_all_attended() {
  for (Cell q = 0; q < cells_; ++q) {
    for (Cell kv = 0; kv < cells_; ++kv) {
      if (found_.full()) return;
      for (std::uint32_t atom = 0; atom < atoms_.count(); ++atom) {
        if (attended_.has(bit(q, kv, atom)) || !blocks_.any(q, kv)) continue;
        found_.add({s_.problem.owner(q), kNone, kNone, fmt::format("q cell {} × kv cell {} is never attended", q, kv)});
        break;
      }
    }
  }
}

void CoverageCheck::check_outputs(Tensor tensor) {
  BitSet covered(std::uint64_t{cells_} * atoms_.count());
  for (ValueId v : s_.outputs) {
    if (s_.values[v].tensor != tensor || found_.full()) continue;
    const Region r = s_.region(v);
    const auto [begin, end] = atoms_.of(r.heads, on_kv_side(tensor));
    for (Cell cell : r.cells) {
      bool twice = false;
      for (std::uint32_t atom = begin; atom < end; ++atom)
        twice |= !covered.insert(std::uint64_t{cell} * atoms_.count() + atom);
      if (twice)
        found_.add(
            {s_.values[v].rank, kNone, v, fmt::format("{} is a second output of cell {}", describe(s_, v), cell)});
    }
  }
  for (Cell cell = 0; cell < cells_; ++cell) {
    bool whole = true;
    for (std::uint32_t atom = 0; atom < atoms_.count(); ++atom)
      whole &= covered.has(std::uint64_t{cell} * atoms_.count() + atom);
    if (!whole)
      found_.add(
          {s_.problem.owner(cell), kNone, kNone,
           fmt::format("rank {} has no complete output {} of cell {}", s_.problem.owner(cell), name_of(tensor), cell)});
  }
}

void CoverageCheck::run() {
  if (1.0 * cells_ * cells_ * atoms_.count() > kMaxBits) {
    found_.add({0, kNone, kNone,
                fmt::format("{0} × {0} cells × {1} slices of heads are too many to prove", cells_, atoms_.count())});
    return;
  }
  attended_ = BitSet(bit(cells_, 0, 0));
  for_each_op(s_, found_, [&](Rank rank, OpId op, const Op& step) { check_op(rank, op, step); });
  check_all_attended();
  if (s_.problem.pass == Pass::kForward) return check_outputs(Tensor::kO);
  check_outputs(Tensor::kDQ);
  check_outputs(Tensor::kDKV);
}

}  // namespace

void check_coverage(const Schedule& s, Findings& found) { CoverageCheck(s, found).run(); }

}  // namespace meshattn::verification
