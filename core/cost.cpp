#include "core/cost.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "core/error.h"

namespace meshattn {

namespace {

/// bf16 and fp16 run on the same units at the same rate.
bool same_rate(Dtype a, Dtype b) { return (a == Dtype::kFp32) == (b == Dtype::kFp32); }

double length_of(double q_tokens, double kv_tokens) { return std::sqrt(q_tokens * kv_tokens); }

/// How far a point is from the problem; equal for the points of one series. See the class comment for the order.
auto distance(const AttentionPoint& point, const AttentionShape& shape, KernelMask mask) {
  const auto apart = [](double a, double b) { return std::abs(std::log2(a / b)); };
  const double group = static_cast<double>(point.heads) / point.kv_heads;
  return std::tuple(point.mask != mask, apart(point.head_dim, shape.head_dim), point.dtype != shape.dtype,
                    apart(point.heads, shape.heads), apart(group, shape.group()));
}

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
  /// Tokens of a kernel over all heads that does as much: values that split the heads of the same tokens count once.
  [[nodiscard]] double extent() const { return token_heads / (heads.end - heads.begin); }
};

double tokens_of(std::span<const Cell> cells, const std::vector<TokenRun>& runs) {
  std::int64_t tokens = 0;
  for (Cell cell : cells) tokens += runs[cell].count;
  return static_cast<double>(tokens);
}

/// Query heads that q heads and kv heads have in common.
double common_heads(HeadRange q, HeadRange kv, int group) {
  const HeadRange heads = common(q, {kv.begin * group, kv.end * group});
  return std::max(0, heads.end - heads.begin);
}

}  // namespace

CostModel::CostModel(const GpuProfile& gpu, const Problem& problem)
    : problem_(problem),
      blocks_(problem),
      combine_bytes_per_s_(gpu.combine_bytes_per_s),
      merge_bytes_(gpu.merge_bytes),
      launch_s_(gpu.launch_s) {
  if (gpu.attention.empty()) {
    if (!(gpu.attention_flops_per_s > 0))
      throw InvalidInput(fmt::format("GPU profile {} has neither a rate nor points of attention", gpu.name));
    full_ = causal_ = {{0, gpu.attention_flops_per_s}};
    best_flops_per_s_ = gpu.attention_flops_per_s;
  } else {
    full_ = series(gpu, KernelMask::kFull);
    causal_ = series(gpu, KernelMask::kCausal);
    for (const AttentionPoint& point : gpu.attention)
      if (point.pass == problem.pass && same_rate(point.dtype, problem.shape.dtype))
        best_flops_per_s_ = std::max(best_flops_per_s_, point.flops_per_s);
  }
}

std::vector<CostModel::Rate> CostModel::series(const GpuProfile& gpu, KernelMask mask) const {
  const AttentionShape& shape = problem_.shape;
  std::vector<AttentionPoint> points;
  std::copy_if(gpu.attention.begin(), gpu.attention.end(), std::back_inserter(points),
               [&](const AttentionPoint& p) { return p.pass == problem_.pass && same_rate(p.dtype, shape.dtype); });
  if (points.empty())
    throw InvalidInput(
        fmt::format("GPU profile {} has no point of {} attention in {}: choose another dtype, or add "
                    "points to it",
                    gpu.name, name_of(problem_.pass), name_of(shape.dtype)));
  const auto nearer = [&](const auto& a, const auto& b) { return distance(a, shape, mask) < distance(b, shape, mask); };
  const AttentionPoint nearest = *std::min_element(points.begin(), points.end(), nearer);
  const auto same_series = [](const AttentionPoint& p) {
    return std::tuple(p.mask, p.head_dim, p.dtype, p.heads, p.kv_heads);
  };
  std::erase_if(points, [&](const AttentionPoint& p) { return same_series(p) != same_series(nearest); });

  std::map<double, std::pair<double, int>> by_length;  // sum and number of the rates measured at one length
  for (const AttentionPoint& p : points) {
    const double length = static_cast<double>(p.q_tokens) * static_cast<double>(p.kv_tokens);
    auto& [sum, number] = by_length[length];
    sum += p.flops_per_s;
    ++number;
  }
  std::vector<Rate> rates;
  for (const auto& [area, mean] : by_length) rates.push_back({std::sqrt(area), mean.first / mean.second});
  return rates;
}

double CostModel::rate(std::span<const Rate> series, double length) {
  const auto above =
      std::upper_bound(series.begin(), series.end(), length, [](double x, const Rate& r) { return x < r.length; });
  if (above == series.end()) return series.back().flops_per_s;
  if (series.size() == 1) return above->flops_per_s * length / above->length;
  const bool below_all = above == series.begin();
  const Rate &a = below_all ? *above : *(above - 1), &b = below_all ? *(above + 1) : *above;
  const double slope = (1 / a.flops_per_s - 1 / b.flops_per_s) / (1 / a.length - 1 / b.length);
  return 1 / (1 / a.flops_per_s + (below_all ? std::max(0.0, slope) : slope) * (1 / length - 1 / a.length));
}

double CostModel::kernel_s(const Kernel& kernel) const {
  const double length = length_of(kernel.q_tokens, kernel.kv_tokens);
  const auto part_s = [&](double pairs, std::span<const Rate> series) {
    if (pairs == 0) return 0.0;
    return flops(pairs * problem_.shape.batch, problem_.shape.head_dim, problem_.pass) / rate(series, length);
  };
  return part_s(kernel.full_pairs, full_) + part_s(kernel.causal_pairs, causal_) + launch_s_;
}

double CostModel::attention_s(double pairs, double q_tokens, double kv_tokens, KernelMask mask) const {
  Kernel kernel{0, 0, q_tokens, kv_tokens};
  (mask == KernelMask::kFull ? kernel.full_pairs : kernel.causal_pairs) = pairs * problem_.shape.heads;
  return kernel_s(kernel);
}

void CostModel::add_masked(const Region& q, const Region& kv, double heads, Kernel& kernel) const {
  std::int64_t full = 0, other = 0;
  for (Cell i : q.cells)
    for (Cell j : kv.cells) {
      const Block block = blocks_.of(i, j);
      (block.kind == Block::Kind::kFull ? full : other) += block.pairs;
    }
  kernel.full_pairs += static_cast<double>(full) * heads;
  kernel.causal_pairs += static_cast<double>(other) * heads;
}

template <typename Rows, typename Columns>
CostModel::Kernel CostModel::kernel_of(const Schedule& s, const Rows& rows, const Columns& columns) const {
  Side q, kv;
  const int group = problem_.shape.group();
  for (const auto& row : rows) q.add(tokens_of(s.region(row.q).cells, blocks_.q_runs()), s.region(sum_of(row)).heads);
  const HeadRange read{q.heads.begin / group, (q.heads.end + group - 1) / group};  // of the columns
  for (const auto& column : columns) {
    const Region r = s.region(kv_of(column));
    kv.add(tokens_of(r.cells, blocks_.kv_runs()), common(r.heads, read));
  }
  Kernel kernel{0, 0, q.extent(), kv.extent()};
  if (problem_.mask.is_full() && q.uniform && kv.uniform) {
    kernel.full_pairs = q.tokens * kv.tokens * common_heads(q.heads, kv.heads, group);
    return kernel;
  }
  for (const auto& row : rows)
    for (const auto& column : columns) {
      const Region a = s.region(row.q), b = s.region(kv_of(column));
      const double heads = common_heads(s.region(sum_of(row)).heads, b.heads, group);
      if (heads == 0) continue;
      if (problem_.mask.is_full())
        kernel.full_pairs += tokens_of(a.cells, blocks_.q_runs()) * tokens_of(b.cells, blocks_.kv_runs()) * heads;
      else
        add_masked(a, b, heads, kernel);
    }
  return kernel;
}

double CostModel::memory_s(double bytes) const { return bytes / combine_bytes_per_s_ + launch_s_; }

template <typename Rectangle>
double CostModel::rectangle_s(const Schedule& s, OpId op, const Rectangle& rect, std::vector<OpId>& merged_by) const {
  double merged = 0;
  const auto contribute = [&](ValueId sum) {
    if (sum == kNone || merged_by[sum] == op) return;
    const double element_bytes = s.values[sum].tensor == Tensor::kO ? merge_bytes_ : 12;  // sums are in fp32
    if (merged_by[sum] != kNone) merged += element_bytes / 4 * static_cast<double>(s.bytes(sum));
    merged_by[sum] = op;
  };
  for (const auto& row : s.rows_of(rect)) contribute(sum_of(row));
  for (const auto& column : s.columns_of(rect)) contribute(sum_of(column));
  return kernel_s(kernel_of(s, s.rows_of(rect), s.columns_of(rect))) + (merged > 0 ? memory_s(merged) : 0);
}

std::vector<double> CostModel::seconds(const Schedule& s) const {
  std::vector<double> seconds(s.ops.size());
  std::vector<OpId> merged_by(s.values.size(), kNone);  // by sum: the last op so far that contributed to it
  for (OpId op = 0; op < s.ops.size(); ++op) {
    if (const auto* a = std::get_if<Attend>(&s.ops[op])) seconds[op] = rectangle_s(s, op, *a, merged_by);
    if (const auto* b = std::get_if<AttendBackward>(&s.ops[op])) seconds[op] = rectangle_s(s, op, *b, merged_by);
    if (const auto* d = std::get_if<Delta>(&s.ops[op])) {
      const Region made = s.region(d->made);
      seconds[op] = memory_s(static_cast<double>(s.bytes(d->o, made) + s.bytes(d->d_o, made) + s.bytes(d->made)));
    }
    if (const auto* c = std::get_if<Combine>(&s.ops[op])) {
      std::uint64_t bytes = s.bytes(c->made);
      for (ValueId source : s.sources_of(*c)) bytes += s.bytes(source, s.region(c->made));
      seconds[op] = memory_s(static_cast<double>(bytes));
    }
  }
  return seconds;
}

double busiest_compute_s(const Schedule& s, std::span<const double> op_s) {
  double busiest = 0;
  for (Rank r = 0; r < s.problem.ranks; ++r)
    busiest = std::max(busiest, std::accumulate(op_s.begin() + s.ops_begin(r), op_s.begin() + s.ops_end(r), 0.0));
  return busiest;
}

}  // namespace meshattn
