#include "gpu/issue/calls.h"

#include <spdlog/fmt/fmt.h>

#include <limits>
#include <map>

#include "core/base/error.h"
#include "gpu/issue/coverage.h"
#include "gpu/kernels/common_cells.h"

namespace meshattn::gpu {

namespace {

/// Cuts query heads into ranges in each of which every key/value head serves the same number of query heads.
std::vector<HeadRange> even_heads(HeadRange heads, int group) {
  std::vector<HeadRange> ranges;
  for (std::int32_t begin = heads.begin; begin < heads.end;) {
    const std::int32_t next = (begin / group + 1) * group, whole_end = heads.end / group * group;
    const std::int32_t end = begin % group == 0 && begin < whole_end ? whole_end : std::min(next, heads.end);
    ranges.push_back({begin, end});
    begin = end;
  }
  return ranges;
}

/// Writes the calls of one rank. The first block of a row of an accumulator overwrites it and later blocks add to it.
/// If a block covers rows some of which are written, or if rows are never written, the accumulator is cleared first and
/// every block adds to it.
class Lowering {
 public:
  Lowering(const Schedule& s, Rank rank) : s_(s), of_op_(s.ops_end(rank) - s.ops_begin(rank)), cleared_(of_op_.size()) {
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op, ++op_)
      std::visit([this](const auto& o) { lower(o); }, s.ops[op]);
    for (const auto& [v, sum] : sums_)
      if (sum.mixed || !sum.coverage.is_complete()) clear_first(v, sum);
  }

  /// By op.
  [[nodiscard]] std::vector<std::vector<Call>> calls() && {
    for (std::size_t op = 0; op < of_op_.size(); ++op)
      of_op_[op].insert(of_op_[op].begin(), cleared_[op].begin(), cleared_[op].end());
    return std::move(of_op_);
  }

 private:
  struct Use {
    std::size_t op, call;
  };
  struct Sum {
    Coverage coverage;
    std::size_t first_op;
    bool mixed = false;
    std::vector<Use> uses;
  };

  void add(Call call) { of_op_[op_].push_back(std::move(call)); }

  /// Notes that the next call of this op contributes to these rows of an accumulator.
  /// @returns whether they have been written
  bool touch(ValueId v, HeadRange heads, std::int64_t first, std::int64_t tokens) {
    const std::int32_t base = s_.region(v).heads.begin;
    Sum& sum = sums_.try_emplace(v, Sum{Coverage(ValueLayout(s_, v).matrix(0)), op_, false, {}}).first->second;
    const Coverage::Overlap before = sum.coverage.add({heads.begin - base, heads.end - base}, {first, first + tokens});
    sum.mixed |= before == Coverage::Overlap::kPartial;
    sum.uses.push_back({op_, of_op_[op_].size()});
    return before != Coverage::Overlap::kNone;
  }

  void clear_first(ValueId v, const Sum& sum) {
    const Tensor tensor = s_.values[v].tensor;
    for (const Use& use : sum.uses) {
      Call& call = of_op_[use.op][use.call];
      if (auto* attend = std::get_if<AttendCall>(&call)) attend->merge = true;
      if (auto* backward = std::get_if<BackwardCall>(&call))
        (tensor == Tensor::kDQ ? backward->add_dq : backward->add_dkv) = true;
    }
    const ValueLayout layout(s_, v);
    std::vector<Call>& clears = cleared_[sum.first_op];
    clears.emplace_back(Clear{layout.matrix(0), 0});
    if (layout.matrices() == 2)
      clears.emplace_back(
          Clear{layout.matrix(1), tensor == Tensor::kO ? -std::numeric_limits<float>::infinity() : 0.0f});
  }

  void lower(const Exchange&) {}
  void lower(const Attend& op) {
    for (const AttendRow& row : s_.rows_of(op))
      for (ValueId column : s_.columns_of(op)) attend(row, column);
  }
  void lower(const AttendBackward& op) {
    for (const BackwardRow& row : s_.rows_of(op))
      for (const BackwardColumn& column : s_.columns_of(op)) attend(row, column);
  }

  /// Calls f(block, query heads, their key/value heads) for every block that the mask leaves of queries × keys.
  template <typename F>
  void for_each_block(const CommonCells& queries, const CommonCells& keys, HeadRange heads, F&& f) {
    const int group = s_.problem.shape.group();
    for (const BandBlock& block : bands_of(s_.problem, queries.spans(), keys.spans()))
      for (HeadRange part : even_heads(heads, group))
        f(block, part, HeadRange{part.begin / group, (part.end - 1) / group + 1});
  }

  void attend(const AttendRow& row, ValueId column) {
    const CommonCells queries(s_, {row.o, row.q}), keys(s_, {column});
    for_each_block(queries, keys, s_.region(row.o).heads, [&](const BandBlock& b, HeadRange heads, HeadRange kv_heads) {
      const auto on_q = [&](std::size_t v, int k) { return queries.rows(v, k, heads, b.first_query, b.queries); };
      const auto on_kv = [&](int k) { return keys.rows(0, k, kv_heads, b.first_key, b.keys); };
      const bool merge = touch(row.o, heads, queries.token_in(0, b.first_query), b.queries);
      add(AttendCall{on_q(1, 0), on_kv(0), on_kv(1), on_q(0, 0), on_q(0, 1), b.band, merge});
    });
  }

  void attend(const BackwardRow& row, const BackwardColumn& column) {
    const CommonCells queries(s_, {row.dq, row.q, row.d_o, row.delta}), keys(s_, {column.dkv, column.kv});
    for_each_block(
        queries, keys, s_.region(row.dq).heads, [&](const BandBlock& b, HeadRange heads, HeadRange kv_heads) {
          const auto on_q = [&](std::size_t v, int k) { return queries.rows(v, k, heads, b.first_query, b.queries); };
          const auto on_kv = [&](std::size_t v, int k) { return keys.rows(v, k, kv_heads, b.first_key, b.keys); };
          const bool add_dq = touch(row.dq, heads, queries.token_in(0, b.first_query), b.queries);
          const bool add_dkv = touch(column.dkv, kv_heads, keys.token_in(0, b.first_key), b.keys);
          add(BackwardCall{on_q(1, 0), on_q(2, 0), on_q(3, 0), on_q(3, 1), on_kv(1, 0), on_kv(1, 1), on_q(0, 0),
                           on_kv(0, 0), on_kv(0, 1), b.band, add_dq, add_dkv});
        });
  }

  void lower(const Delta& op) {
    const CommonCells cells(s_, {op.made, op.o, op.d_o});
    const HeadRange heads = s_.region(op.made).heads;
    cells.for_each_run([&](std::int64_t first, std::int64_t tokens) {
      const auto rows = [&](std::size_t v, int k) { return cells.rows(v, k, heads, first, tokens); };
      add(DeltaCall{rows(1, 0), rows(1, 1), rows(2, 0), rows(0, 0), rows(0, 1)});
    });
  }

  void lower(const Combine& op);
  void combine(ValueId made, HeadRange heads, const std::vector<ValueId>& sources, const std::vector<Cell>& cells);

  const Schedule& s_;
  std::size_t op_ = 0;  ///< the op being lowered, counted from the rank's first
  std::vector<std::vector<Call>> of_op_, cleared_;
  std::map<ValueId, Sum> sums_;
};

/// Sources may differ in heads and cells: one call for each set of rows that have the same sources.
void Lowering::lower(const Combine& op) {
  const Region made = s_.region(op.made);
  std::vector<std::int32_t> cuts{made.heads.begin, made.heads.end};
  for (ValueId v : s_.sources_of(op))
    for (std::int32_t cut : {s_.region(v).heads.begin, s_.region(v).heads.end})
      if (made.heads.begin < cut && cut < made.heads.end) cuts.push_back(cut);
  std::ranges::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    const HeadRange heads{cuts[i], cuts[i + 1]};
    std::map<std::vector<ValueId>, std::vector<Cell>> by_sources;
    for (Cell cell : made.cells) {
      std::vector<ValueId> having;
      for (ValueId v : s_.sources_of(op))
        if (const HeadRange h = s_.region(v).heads; h.begin <= heads.begin && heads.end <= h.end)
          if (std::ranges::binary_search(s_.region(v).cells, cell)) having.push_back(v);
      by_sources[having].push_back(cell);
    }
    for (const auto& [sources, cells] : by_sources) combine(op.made, heads, sources, cells);
  }
}

void Lowering::combine(ValueId made, HeadRange heads, const std::vector<ValueId>& sources,
                       const std::vector<Cell>& cells) {
  std::vector<ValueId> values{made};
  values.insert(values.end(), sources.begin(), sources.end());
  const CommonCells shared(s_, values, cells);
  const bool is_o = s_.values[made].tensor == Tensor::kO;
  const int matrices = on_kv_side(s_.values[made].tensor) ? 2 : 1;
  shared.for_each_run([&](std::int64_t first, std::int64_t tokens) {
    for (int k = 0; k < matrices; ++k) {
      const auto rows = [&](std::size_t v, int m) { return shared.rows(v, m, heads, first, tokens); };
      CombineCall call{{}, rows(0, k), is_o ? rows(0, 1) : MatrixView{}};
      for (std::size_t v = 1; v < values.size(); ++v)
        call.summands.push_back({rows(v, k), is_o ? rows(v, 1) : MatrixView{}});
      add(std::move(call));
    }
  });
}

}  // namespace

Calls::Calls(const Schedule& schedule, Rank rank) {
  if (schedule.problem.shape.head_dim > kMaxWidth)
    throw InvalidInput(fmt::format("head dim {}: kernels take up to {}", schedule.problem.shape.head_dim, kMaxWidth));
  first_op_ = schedule.ops_begin(rank);
  first_.push_back(0);
  for (std::vector<Call>& of_op : Lowering(schedule, rank).calls()) {
    calls_.insert(calls_.end(), std::make_move_iterator(of_op.begin()), std::make_move_iterator(of_op.end()));
    first_.push_back(calls_.size());
  }
}

}  // namespace meshattn::gpu
