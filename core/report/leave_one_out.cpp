#include "core/report/leave_one_out.h"

#include <algorithm>
#include <cmath>

#include "core/execution/cost_model.h"

namespace meshattn {

namespace {

bool same_series(const AttentionPoint& a, const AttentionPoint& b) {
  return a.pass == b.pass && a.mask == b.mask && a.head_dim == b.head_dim;
}

bool is_between(const GpuProfile& gpu, const AttentionPoint& point) {
  bool shorter = false, longer = false;
  for (const AttentionPoint& p : gpu.attention) {
    if (!same_series(p, point)) continue;
    shorter |= p.q_tokens < point.q_tokens;
    longer |= p.q_tokens > point.q_tokens;
  }
  return shorter && longer;
}

double error_without(const GpuProfile& gpu, const AttentionPoint& left_out) {
  GpuProfile others = gpu;
  std::erase_if(others.attention,
                [&](const AttentionPoint& p) { return same_series(p, left_out) && p.q_tokens == left_out.q_tokens; });
  others.launch_s = 0;
  Problem p{{1 << 20, 1 << 20, left_out.batch, left_out.heads, left_out.kv_heads, left_out.head_dim, left_out.dtype},
            Mask::kFull,
            Partition::kContiguous,
            left_out.pass,
            1};
  const auto q_tokens = static_cast<double>(left_out.q_tokens), kv_tokens = static_cast<double>(left_out.kv_tokens);
  const double seconds = CostModel(others, p).attention_s(q_tokens * kv_tokens, q_tokens, kv_tokens, left_out.mask);
  const double pairs = q_tokens * kv_tokens * left_out.heads * left_out.batch;
  const double found = flops(pairs, left_out.head_dim, left_out.pass) / seconds;
  return std::abs(found / (left_out.flops_per_s * gpu.attention_scale) - 1);
}

}  // namespace

std::vector<double> leave_one_out(const GpuProfile& gpu) {
  std::vector<double> errors;
  for (const AttentionPoint& point : gpu.attention)
    if (is_between(gpu, point)) errors.push_back(error_without(gpu, point));
  std::ranges::sort(errors);
  return errors;
}

}  // namespace meshattn
