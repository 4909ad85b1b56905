#include <algorithm>

#include "tests/support/interpreter/run.h"

/// The effects of ops on the content of values, the inputs, and the check of the outputs.
namespace meshattn::testing::interpreter {

const Content& Run::content(ValueId v) const {
  if (!content_[v]) wrong("value {} was never made", v);
  return *content_[v];
}

const std::multiset<Contribution>& Run::at(ValueId v, Row row) const {
  const auto it = content(v).at.find(row);
  if (it == content(v).at.end()) wrong("value {} has no cell {}, head {}", v, row.first, row.second);
  return it->second;
}

/// All rows of the value's region, without contributions.
Content Run::empty(ValueId v) const {
  Content c{s_.values[v].tensor, s_.values[v].dtype, {}};
  const Region r = s_.region(v);
  for (Cell cell : r.cells)
    for (std::int32_t head = r.heads.begin; head < r.heads.end; ++head) c.at[{cell, head}];
  return c;
}

Content& Run::accumulator(ValueId v, Tensor tensor) {
  if (s_.values[v].tensor != tensor) wrong("value {} is not {}", v, name_of(tensor));
  if (!content_[v]) content_[v] = empty(v);
  return *content_[v];
}

void Run::contribute(ValueId v, Row row, const Contribution& what) {
  const auto it = content_[v]->at.find(row);
  if (it == content_[v]->at.end()) wrong("value {} has no row for a block of cell {}", v, row.first);
  it->second.insert(what);
}

void Run::give_inputs() {
  for (ValueId v : s_.inputs) {
    const Value& value = s_.values[v];
    const bool forward = s_.problem.pass == Pass::kForward;
    if (value.tensor == Tensor::kDQ || value.tensor == Tensor::kDKV ||
        (forward && value.tensor != Tensor::kQ && value.tensor != Tensor::kKV))
      wrong("input {} does not exist before this pass", v);
    if (value.dtype != (value.tensor == Tensor::kDelta ? Dtype::kFp32 : s_.problem.shape.dtype))
      wrong("input {} has another dtype", v);
    const bool may_be_resident = !forward && value.tensor != Tensor::kDO;  // left by the forward pass
    for (Cell cell : s_.region(v).cells)
      if (s_.problem.owner(cell) != value.rank && !may_be_resident)
        wrong("rank {} does not own input {}", value.rank, v);
    content_[v] = empty(v);
    write(v, true);
  }
  for (ValueId v : s_.inputs) expect_intact(v, kNone);
}

/// Calls visit(q row, kv row) for every row of `q` with a head of `accumulator`, and every row of `kv` that it sees.
/// Both values must have these rows.
template <typename Visit>
void Run::for_each_block(ValueId q, ValueId kv, ValueId accumulator, Visit&& visit) const {
  const HeadRange heads = s_.region(accumulator).heads;
  for (Cell i : s_.region(q).cells) {
    for (Cell j : s_.region(kv).cells) {
      if (s_.problem.block(i, j).kind == Block::Kind::kEmpty) continue;
      for (std::int32_t head = heads.begin; head < heads.end; ++head) {
        at(q, {i, head}), at(kv, {j, head / group_});
        visit(Row{i, head}, Row{j, head / group_});
      }
    }
  }
}

void Run::finish(const Attend& a) {
  for (const AttendRow& row : s_.rows_of(a)) accumulator(row.o, Tensor::kO);
  for (const AttendRow& row : s_.rows_of(a)) {
    for (ValueId kv : s_.columns_of(a)) {
      if (content(row.q).tensor != Tensor::kQ || content(kv).tensor != Tensor::kKV) wrong("no query or no keys");
      for_each_block(row.q, kv, row.o, [&](Row q_row, Row kv_row) {
        contribute(row.o, q_row, {q_row.first, kv_row.first, q_row.second});
      });
    }
  }
}

void Run::finish(const AttendBackward& a) {
  for (const BackwardRow& row : s_.rows_of(a)) accumulator(row.dq, Tensor::kDQ);
  for (const BackwardColumn& column : s_.columns_of(a)) accumulator(column.dkv, Tensor::kDKV);
  for (const BackwardRow& row : s_.rows_of(a)) {
    for (const BackwardColumn& column : s_.columns_of(a)) {
      if (content(row.q).tensor != Tensor::kQ || content(column.kv).tensor != Tensor::kKV ||
          content(row.d_o).tensor != Tensor::kDO || content(row.delta).tensor != Tensor::kDelta)
        wrong("operands of a backward block are of other tensors");
      for_each_block(row.q, column.kv, row.dq, [&](Row q_row, Row kv_row) {
        const Contribution block{q_row.first, kv_row.first, q_row.second};
        at(row.d_o, q_row), at(row.delta, q_row);
        contribute(row.dq, q_row, block);
        contribute(column.dkv, kv_row, block);
      });
    }
  }
}

void Run::finish(const Delta& d) {
  Content c = empty(d.made);
  if (c.tensor != Tensor::kDelta || content(d.o).tensor != Tensor::kO || content(d.d_o).tensor != Tensor::kDO)
    wrong("delta of other tensors");
  if (s_.problem.pass == Pass::kForward) wrong("delta in a forward pass");
  for (const auto& [row, none] : c.at) at(d.o, row), at(d.d_o, row);
  content_[d.made] = std::move(c);
}

void Run::finish(const Combine& c) {
  Content merged{s_.values[c.made].tensor, s_.values[c.made].dtype, {}};
  if (!is_partial(merged.tensor)) wrong("value {} cannot be merged", c.made);
  const Content wanted = empty(c.made);
  for (ValueId v : s_.sources_of(c)) {
    if (content(v).tensor != merged.tensor) wrong("value {} is merged into another tensor", v);
    for (const auto& [row, blocks] : content(v).at)
      if (wanted.at.contains(row)) merged.at[row].insert(blocks.begin(), blocks.end());
  }
  content_[c.made] = std::move(merged);
}

void Run::check_outputs() {
  const Problem& p = s_.problem;
  const bool forward = p.pass == Pass::kForward;
  std::map<Tensor, std::map<Row, std::multiset<Contribution>>> wanted, got;
  for (Cell q = 0; q < p.cells(); ++q) {
    for (Cell kv = 0; kv < p.cells(); ++kv) {
      for (std::int32_t head = 0; head < p.shape.heads; ++head) {
        if (p.block(q, kv).kind == Block::Kind::kEmpty) continue;
        wanted[forward ? Tensor::kO : Tensor::kDQ][{q, head}].insert({q, kv, head});
        if (!forward) wanted[Tensor::kDKV][{kv, head / group_}].insert({q, kv, head});
      }
    }
  }
  for (ValueId v : s_.outputs) {
    expect_intact(v, kNone);
    if (content(v).dtype != p.shape.dtype) wrong("output {} has another dtype", v);
    for (const auto& [row, blocks] : content(v).at) {
      if (p.owner(row.first) != s_.values[v].rank) wrong("output {} is not with its owner", v);
      if (!got[content(v).tensor].emplace(row, blocks).second) wrong("a second output of cell {}", row.first);
    }
  }
  for (ValueId v : s_.inputs) expect_intact(v, kNone);
  if (got != wanted) wrong("the outputs are not what they should be");
}

}  // namespace meshattn::testing::interpreter
