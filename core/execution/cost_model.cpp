#include "core/execution/cost_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/execution/accumulator_traffic.h"
#include "core/execution/layout_copies.h"

namespace meshattn {

CostModel::CostModel(const GpuProfile& gpu, const Problem& problem)
    : problem_(problem),
      work_(problem),
      rates_(gpu, problem.shape, problem.pass),
      delta_bytes_per_s_(gpu.combine_bytes_per_s),
      merge_bytes_per_s_(problem.pass == Pass::kForward ? gpu.combine_bytes_per_s : gpu.accumulate_bytes_per_s),
      launch_s_(gpu.launch_s),
      framework_(gpu.framework) {}

double CostModel::kernel_s(const KernelWork& work) const {
  const auto operations = [&](double pairs) {
    return flops(pairs * problem_.shape.batch, problem_.shape.head_dim, problem_.pass);
  };
  return rates_.seconds(operations(work.full_pairs), operations(work.causal_pairs),
                        problem_.pass == Pass::kForward ? work.kv_tokens : work.q_tokens, work.thread_blocks) +
         launch_s_;
}

double CostModel::attention_s(double pairs, double q_tokens, double kv_tokens, KernelMask mask) const {
  const AttentionShape& shape = problem_.shape;
  const double rows = problem_.pass == Pass::kForward ? q_tokens : kv_tokens;
  KernelWork work;
  work.q_tokens = q_tokens;
  work.kv_tokens = kv_tokens;
  work.thread_blocks = kernel_thread_blocks(rows, shape.heads * shape.batch);
  (mask == KernelMask::kFull ? work.full_pairs : work.causal_pairs) = pairs * shape.heads;
  return kernel_s(work);
}

template <typename Op>
CostModel::AttentionTime CostModel::time_of(const Schedule& s, OpId id, const Op& op,
                                            AccumulatorTraffic& traffic) const {
  const KernelWork work = work_.of(s, op);
  const double merged = traffic.bytes_of(id, s.rows_of(op), s.columns_of(op), work);
  const int kernels = problem_.pass == Pass::kForward ? framework_.merge_kernels : framework_.gradient_kernels;
  const double kernel = kernel_s(work);
  return {kernel + (merged > 0 ? merge_s(merged) + (kernels - 1) * launch_s_ : 0),
          kernel * rates_.before_last_wave(work.thread_blocks)};
}

void CostModel::add_layout_copies(const Schedule& s, std::vector<double>& seconds) const {
  if (std::isinf(framework_.layout_bytes_per_s)) return;
  constexpr double kReadAndWritten = 2;
  const double bytes_per_s = std::min(framework_.layout_bytes_per_s, delta_bytes_per_s_);
  for (const LayoutCopies& copies : layout_copies(s))
    if (copies.first_attention != kNone)
      seconds[copies.first_attention] += kReadAndWritten * copies.bytes / bytes_per_s;
}

OpTimes CostModel::times(const Schedule& s) const {
  OpTimes times{
      std::vector<double>(s.ops.size()), std::vector<double>(framework_.late_exchanges ? s.ops.size() : 0), {}};
  std::vector<double>& seconds = times.seconds;
  AccumulatorTraffic traffic(s, framework_, work_.blocks());
  const auto attends = [&](OpId op, const auto& attention) {
    const AttentionTime time = time_of(s, op, attention, traffic);
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
      seconds[op] = merge_s(static_cast<double>(bytes) + traffic.output_bytes(c->made));
    }
  }
  add_layout_copies(s, seconds);
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
