#include "core/execution/kernel_work.h"

#include <algorithm>
#include <limits>

#include "core/cluster/kernel_rates.h"

namespace meshattn {

namespace {

/// The rows or the columns of a rectangle: tokens and heads, summed over their values.
struct RectangleSide {
  double tokens = 0;
  double token_heads = 0;
  HeadRange heads{std::numeric_limits<std::int32_t>::max(), 0};
  bool uniform = true;  ///< all values have the same heads

  void add(double n, HeadRange h) {
    uniform = uniform && (tokens == 0 || h == heads);
    tokens += n;
    token_heads += n * (h.end - h.begin);
    heads = {std::min(heads.begin, h.begin), std::max(heads.end, h.end)};
  }
  [[nodiscard]] double head_count() const { return heads.end - heads.begin; }
  /// Tokens of a kernel over all heads with the same work: values that split the heads of the same tokens count once.
  [[nodiscard]] double extent() const { return token_heads / head_count(); }
};

/// Query heads that q heads and kv heads have in common.
double common_heads(HeadRange q, HeadRange kv, int group) {
  const HeadRange heads = common(q, {kv.begin * group, kv.end * group});
  return std::max(0, heads.end - heads.begin);
}

}  // namespace

double tokens_of(std::span<const Cell> cells, const std::vector<TokenRun>& runs) {
  std::int64_t tokens = 0;
  for (Cell cell : cells) tokens += runs[cell].count;
  return static_cast<double>(tokens);
}

/// Adds the blocks of a rectangle under a mask that is not full. If any block of a row value and a column value is cut
/// by the mask, all of them count as causal: a chunk with itself is one causal kernel, however many cells it has.
template <typename Rows, typename Columns>
void KernelWorkCounter::add_masked(const Schedule& s, const Rows& rows, const Columns& columns,
                                   KernelWork& work) const {
  const int group = problem_.shape.group();
  std::vector<std::vector<std::int64_t>> keys_touched;  // by column, by cell of it
  for (const auto& column : columns) keys_touched.emplace_back(s.region(kv_of(column)).cells.size());
  std::vector<std::int64_t> queries_touched;  // by cell of a row
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Region q = s.region(rows[r].q);
    queries_touched.assign(q.cells.size(), 0);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const Region kv = s.region(kv_of(columns[c]));
      const double heads = common_heads(s.region(accumulator_of(rows[r])).heads, kv.heads, group);
      if (heads == 0) continue;
      std::int64_t pairs = 0;
      bool all_full = true;
      for (std::size_t i = 0; i < q.cells.size(); ++i)
        for (std::size_t j = 0; j < kv.cells.size(); ++j) {
          const Block block = blocks_.of(q.cells[i], kv.cells[j]);
          if (block.kind == Block::Kind::kEmpty) continue;
          const std::int64_t queries = blocks_.q_runs()[q.cells[i]].count, keys = blocks_.kv_runs()[kv.cells[j]].count;
          const std::int64_t shift = block.kind == Block::Kind::kCausal ? block.shift : keys;
          queries_touched[i] = std::max(queries_touched[i], std::min(queries, queries + shift));
          keys_touched[c][j] = std::max(keys_touched[c][j], std::min(keys, queries + shift));
          all_full = all_full && block.kind == Block::Kind::kFull;
          pairs += block.pairs;
        }
      (all_full ? work.full_pairs : work.causal_pairs) += static_cast<double>(pairs) * heads;
    }
    for (std::int64_t queries : queries_touched) work.row_tokens[r] += static_cast<double>(queries);
  }
  for (std::size_t c = 0; c < columns.size(); ++c)
    for (std::int64_t keys : keys_touched[c]) work.column_tokens[c] += static_cast<double>(keys);
}

template <typename Rows, typename Columns>
KernelWork KernelWorkCounter::count(const Schedule& s, const Rows& rows, const Columns& columns) const {
  KernelWork work;
  RectangleSide q, kv;
  const bool full = problem_.mask.is_full();
  const int group = problem_.shape.group();
  for (const auto& row : rows) {
    const double tokens = tokens_of(s.region(row.q).cells, blocks_.q_runs());
    q.add(tokens, s.region(accumulator_of(row)).heads);
    work.row_tokens.push_back(full ? tokens : 0);
  }
  const HeadRange read = kv_heads_of(q.heads, group);
  for (const auto& column : columns) {
    const Region r = s.region(kv_of(column));
    const double tokens = tokens_of(r.cells, blocks_.kv_runs());
    kv.add(tokens, common(r.heads, read));
    work.column_tokens.push_back(full ? tokens : 0);
  }
  work.q_tokens = q.extent();
  work.kv_tokens = kv.extent();
  const double tokens = problem_.pass == Pass::kForward ? work.q_tokens : work.kv_tokens;
  work.thread_blocks = kernel_thread_blocks(tokens, q.head_count() * problem_.shape.batch);
  if (!full) {
    add_masked(s, rows, columns, work);
    return work;
  }
  if (q.uniform && kv.uniform) {
    work.full_pairs = q.tokens * kv.tokens * common_heads(q.heads, kv.heads, group);
    return work;
  }
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t c = 0; c < columns.size(); ++c)
      work.full_pairs +=
          work.row_tokens[r] * work.column_tokens[c] *
          common_heads(s.region(accumulator_of(rows[r])).heads, s.region(kv_of(columns[c])).heads, group);
  return work;
}

KernelWork KernelWorkCounter::of(const Schedule& s, const Attend& op) const {
  return count(s, s.rows_of(op), s.columns_of(op));
}

KernelWork KernelWorkCounter::of(const Schedule& s, const AttendBackward& op) const {
  return count(s, s.rows_of(op), s.columns_of(op));
}

}  // namespace meshattn
