#include "core/execution/cost_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace meshattn {

namespace {

/// One side of a rectangle: its tokens and heads, summed over its values.
struct Side {
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
  /// Tokens of a kernel over all heads that does as much: values that split the heads of the same tokens count once.
  [[nodiscard]] double extent() const { return token_heads / head_count(); }
};

double tokens_of(std::span<const Cell> cells, const std::vector<TokenRun>& runs) {
  std::int64_t tokens = 0;
  for (Cell cell : cells) tokens += runs[cell].count;
  return static_cast<double>(tokens);
}

/// The heads of keys that query heads attend to.
HeadRange kv_heads_of(HeadRange q, int group) { return {q.begin / group, (q.end + group - 1) / group}; }

/// Query heads that q heads and kv heads have in common.
double common_heads(HeadRange q, HeadRange kv, int group) {
  const HeadRange heads = common(q, {kv.begin * group, kv.end * group});
  return std::max(0, heads.end - heads.begin);
}

}  // namespace

/// Which sums of a schedule have begun, and what merging into them moves.
class CostModel::Merges {
 public:
  Merges(const Schedule& schedule, const Framework& framework)
      : s_(schedule), framework_(framework), begun_by_(s_.values.size(), kNone) {}

  /// Bytes that making an output takes besides, in a value that is one.
  [[nodiscard]] double output_bytes(ValueId made) const {
    if (framework_.output_bytes == 0 || !std::ranges::binary_search(s_.outputs, made)) return 0;
    return framework_.output_bytes * static_cast<double>(s_.bytes(made)) / size_of(s_.values[made].dtype);
  }

  /// Bytes that `op` moves besides its kernel because it contributes to so many tokens of a sum.
  [[nodiscard]] double bytes(OpId op, ValueId sum, double tokens, double of_tokens) {
    if (sum == kNone) return 0;
    if (begun_by_[sum] == kNone) {
      begun_by_[sum] = op;
      return output_bytes(sum);
    }
    if (begun_by_[sum] == op) return 0;
    const auto elements = static_cast<double>(s_.bytes(sum)) / size_of(Dtype::kFp32);  // sums are in fp32
    if (s_.values[sum].tensor != Tensor::kO) return framework_.gradient_bytes * elements * tokens / of_tokens;
    return (framework_.merge_bytes + (tokens < of_tokens ? framework_.part_bytes : 0)) * elements * tokens / of_tokens;
  }

 private:
  const Schedule& s_;
  const Framework& framework_;
  std::vector<OpId> begun_by_;  ///< by sum: the first op that contributed to it
};

CostModel::CostModel(const GpuProfile& gpu, const Problem& problem)
    : problem_(problem),
      blocks_(problem),
      rates_(gpu, problem.shape, problem.pass),
      delta_bytes_per_s_(gpu.combine_bytes_per_s),
      sum_bytes_per_s_(problem.pass == Pass::kForward ? gpu.combine_bytes_per_s : gpu.accumulate_bytes_per_s),
      launch_s_(gpu.launch_s),
      framework_(gpu.framework) {}

double CostModel::kernel_s(const Kernel& kernel) const {
  const auto operations = [&](double pairs) {
    return flops(pairs * problem_.shape.batch, problem_.shape.head_dim, problem_.pass);
  };
  return rates_.seconds(operations(kernel.full_pairs), operations(kernel.causal_pairs),
                        problem_.pass == Pass::kForward ? kernel.kv_tokens : kernel.q_tokens, kernel.tiles) +
         launch_s_;
}

double CostModel::attention_s(double pairs, double q_tokens, double kv_tokens, KernelMask mask) const {
  const AttentionShape& shape = problem_.shape;
  const double rows = problem_.pass == Pass::kForward ? q_tokens : kv_tokens;
  Kernel kernel{0, 0, q_tokens, kv_tokens, kernel_thread_blocks(rows, shape.heads * shape.batch)};
  (mask == KernelMask::kFull ? kernel.full_pairs : kernel.causal_pairs) = pairs * shape.heads;
  return kernel_s(kernel);
}

/// Adds the blocks of a rectangle under a mask that is not full. All blocks of a row and a column go at the rate of the
/// worst of them: a chunk with itself is one causal kernel, however many cells it has.
template <typename Rows, typename Columns>
void CostModel::add_masked(const Schedule& s, const Rows& rows, const Columns& columns, Rectangle& rectangle) const {
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
      (all_full ? rectangle.kernel.full_pairs : rectangle.kernel.causal_pairs) += static_cast<double>(pairs) * heads;
    }
    for (std::int64_t queries : queries_touched) rectangle.rows[r] += static_cast<double>(queries);
  }
  for (std::size_t c = 0; c < columns.size(); ++c)
    for (std::int64_t keys : keys_touched[c]) rectangle.columns[c] += static_cast<double>(keys);
}

template <typename Rows, typename Columns>
CostModel::Rectangle CostModel::rectangle_of(const Schedule& s, const Rows& rows, const Columns& columns) const {
  Rectangle rectangle;
  Side q, kv;
  const bool full = problem_.mask.is_full();
  const int group = problem_.shape.group();
  for (const auto& row : rows) {
    const double tokens = tokens_of(s.region(row.q).cells, blocks_.q_runs());
    q.add(tokens, s.region(accumulator_of(row)).heads);
    rectangle.rows.push_back(full ? tokens : 0);
  }
  const HeadRange read = kv_heads_of(q.heads, group);
  for (const auto& column : columns) {
    const Region r = s.region(kv_of(column));
    const double tokens = tokens_of(r.cells, blocks_.kv_runs());
    kv.add(tokens, common(r.heads, read));
    rectangle.columns.push_back(full ? tokens : 0);
  }
  Kernel& kernel = rectangle.kernel;
  kernel.q_tokens = q.extent();
  kernel.kv_tokens = kv.extent();
  const double tokens = problem_.pass == Pass::kForward ? kernel.q_tokens : kernel.kv_tokens;
  kernel.tiles = kernel_thread_blocks(tokens, q.head_count() * problem_.shape.batch);
  if (!full) {
    add_masked(s, rows, columns, rectangle);
    return rectangle;
  }
  if (q.uniform && kv.uniform) {
    kernel.full_pairs = q.tokens * kv.tokens * common_heads(q.heads, kv.heads, group);
    return rectangle;
  }
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t c = 0; c < columns.size(); ++c)
      kernel.full_pairs +=
          rectangle.rows[r] * rectangle.columns[c] *
          common_heads(s.region(accumulator_of(rows[r])).heads, s.region(kv_of(columns[c])).heads, group);
  return rectangle;
}

template <typename Op>
CostModel::RectangleTime CostModel::time_of(const Schedule& s, OpId id, const Op& op, Merges& merges) const {
  const auto rows = s.rows_of(op);
  const auto columns = s.columns_of(op);
  const Rectangle rectangle = rectangle_of(s, rows, columns);
  std::vector<std::pair<ValueId, double>> touched;  // of each sum, by its rows or columns together
  for (std::size_t r = 0; r < rows.size(); ++r) touched.emplace_back(accumulator_of(rows[r]), rectangle.rows[r]);
  for (std::size_t c = 0; c < columns.size(); ++c)
    if (accumulator_of(columns[c]) != kNone) touched.emplace_back(accumulator_of(columns[c]), rectangle.columns[c]);
  std::ranges::sort(touched, {}, &std::pair<ValueId, double>::first);
  double merged = 0;
  for (auto begin = touched.begin(); begin != touched.end();) {
    const ValueId sum = begin->first;
    double tokens = 0;
    for (; begin != touched.end() && begin->first == sum; ++begin) tokens += begin->second;
    const bool kv = on_kv_side(s.values[sum].tensor);
    merged += merges.bytes(id, sum, tokens, tokens_of(s.region(sum).cells, kv ? blocks_.kv_runs() : blocks_.q_runs()));
  }
  const int kernels = problem_.pass == Pass::kForward ? framework_.merge_kernels : framework_.gradient_kernels;
  const double kernel = kernel_s(rectangle.kernel);
  return {kernel + (merged > 0 ? sum_s(merged) + (kernels - 1) * launch_s_ : 0),
          kernel * rates_.before_last_wave(rectangle.kernel.tiles)};
}

namespace {

/// What a rank attends, all together.
struct Attended {
  HeadRange heads{0, 0};  ///< of queries
  OpId first = kNone;
};

std::vector<Attended> attended_of(const Schedule& s) {
  std::vector<Attended> all(static_cast<std::size_t>(s.problem.ranks));
  for (Rank rank = 0; rank < s.problem.ranks; ++rank)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      Attended& those = all[static_cast<std::size_t>(rank)];
      const auto add = [&](const auto& attention) {
        for (const auto& row : s.rows_of(attention)) {
          const HeadRange heads = s.region(accumulator_of(row)).heads;
          if (those.first == kNone) those = {heads, op};
          those.heads = {std::min(those.heads.begin, heads.begin), std::max(those.heads.end, heads.end)};
        }
      };
      if (const auto* a = std::get_if<Attend>(&s.ops[op])) add(*a);
      if (const auto* b = std::get_if<AttendBackward>(&s.ops[op])) add(*b);
    }
  return all;
}

}  // namespace

void CostModel::add_layouts(const Schedule& s, std::vector<double>& seconds) const {
  if (std::isinf(framework_.layout_bytes_per_s)) return;
  const std::vector<Attended> attended = attended_of(s);
  const auto of_side = [&](ValueId v, std::size_t rank) {  // heads that a rank attends, of the side that a value is on
    const HeadRange heads = attended[rank].heads;
    return on_kv_side(s.values[v].tensor) ? kv_heads_of(heads, problem_.shape.group()) : heads;
  };
  std::vector<bool> input(s.values.size()), sent(s.values.size());
  for (ValueId v : s.inputs) input[v] = true;
  std::vector<double> copied(attended.size());  // bytes
  for (const Transfer& t : s.transfers) {
    const auto to = static_cast<std::size_t>(s.values[t.made].rank);
    if (attended[to].heads == HeadRange{0, problem_.shape.heads})
      continue;  // heads that come one after the other are no exchange by heads
    const HeadRange whole = s.region(t.source).heads;
    const bool by_heads = input[t.source] && common(of_side(t.source, to), whole) != whole;
    if (by_heads || std::ranges::binary_search(s.outputs, t.made)) copied[to] += static_cast<double>(s.bytes(t.made));
    if (!by_heads || sent[t.source]) continue;
    sent[t.source] = true;
    const auto from = static_cast<std::size_t>(s.values[t.source].rank);
    const HeadRange kept = common(of_side(t.source, from), whole);
    copied[from] +=
        static_cast<double>(s.bytes(t.source)) * (1 + 1.0 * (kept.end - kept.begin) / (whole.end - whole.begin));
  }
  constexpr double kReadAndWritten = 2;
  const double bytes_per_s = std::min(framework_.layout_bytes_per_s, delta_bytes_per_s_);
  for (std::size_t rank = 0; rank < attended.size(); ++rank)
    if (attended[rank].first != kNone) seconds[attended[rank].first] += kReadAndWritten * copied[rank] / bytes_per_s;
}

OpTimes CostModel::times(const Schedule& s) const {
  OpTimes times{
      std::vector<double>(s.ops.size()), std::vector<double>(framework_.late_exchanges ? s.ops.size() : 0), {}};
  std::vector<double>& seconds = times.seconds;
  Merges merges(s, framework_);
  const auto attends = [&](OpId op, const auto& attention) {
    const RectangleTime time = time_of(s, op, attention, merges);
    seconds[op] = time.seconds;
    if (framework_.late_exchanges) times.last_wave_s[op] = time.last_wave_s;
  };
  for (OpId op = 0; op < s.ops.size(); ++op) {
    if (std::holds_alternative<Exchange>(s.ops[op])) continue;
    if (const auto* a = std::get_if<Attend>(&s.ops[op])) attends(op, *a);
    if (const auto* b = std::get_if<AttendBackward>(&s.ops[op])) attends(op, *b);
    if (const auto* d = std::get_if<Delta>(&s.ops[op])) {
      const Region made = s.region(d->made);
      const auto bytes = static_cast<double>(s.bytes(d->o, made) + s.bytes(d->d_o, made) + s.bytes(d->made));
      seconds[op] = bytes / delta_bytes_per_s_ + launch_s_;
    }
    if (const auto* c = std::get_if<Combine>(&s.ops[op])) {
      std::uint64_t bytes = s.bytes(c->made);
      for (ValueId source : s.sources_of(*c)) bytes += s.bytes(source, s.region(c->made));
      seconds[op] = sum_s(static_cast<double>(bytes) + merges.output_bytes(c->made));
    }
  }
  add_layouts(s, seconds);
  if (framework_.host_s > 0) times.set_issue_times(s, framework_.host_s);
  return times;
}

double busiest_compute_s(const Schedule& s, const Network& network, std::span<const double> op_s) {
  double busiest = 0;
  std::vector<double> of_node(static_cast<std::size_t>(network.nodes()));
  for (Rank r = 0; r < s.problem.ranks; ++r) {
    const double seconds = std::accumulate(op_s.begin() + s.ops_begin(r), op_s.begin() + s.ops_end(r), 0.0);
    busiest = std::max(busiest, seconds);
    of_node[static_cast<std::size_t>(network.node_of(r))] += seconds;
  }
  return std::max(busiest, std::ranges::max(of_node) / network.processors());
}

}  // namespace meshattn
