#include "core/cluster/kernel_rates.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "core/base/error.h"

namespace meshattn {

namespace {

/// bf16 and fp16 run on the same units at the same rate.
bool same_rate(Dtype a, Dtype b) { return (a == Dtype::kFp32) == (b == Dtype::kFp32); }

double thread_blocks_of(const AttentionPoint& p) {
  const std::int64_t tokens = p.pass == Pass::kForward ? p.q_tokens : p.kv_tokens;
  return kernel_thread_blocks(static_cast<double>(tokens), p.heads * p.batch);
}

/// Distance of a point from a shape, mask and head dim aside. The points of one series have equal distances.
auto distance(const AttentionPoint& point, const AttentionShape& shape) {
  const auto apart = [](double a, double b) { return std::abs(std::log2(a / b)); };
  const double group = static_cast<double>(point.heads) / point.kv_heads;
  return std::tuple(point.dtype != shape.dtype, apart(point.heads, shape.heads), apart(group, shape.group()));
}

/// The one or two head dims with points that `head_dim` is interpolated from.
std::vector<int> nearest_dims(const std::set<int>& dims, int head_dim) {
  if (dims.size() < 2 || dims.contains(head_dim)) return {dims.contains(head_dim) ? head_dim : *dims.begin()};
  auto above = dims.lower_bound(head_dim);
  if (above == dims.begin()) ++above;
  if (above == dims.end()) --above;
  return {*std::prev(above), *above};
}

}  // namespace

double kernel_thread_blocks(double tokens, double heads) { return tokens * heads / 128; }

KernelRates::KernelRates(const GpuProfile& gpu, const AttentionShape& shape, Pass pass)
    : head_dim_(shape.head_dim), sms_(gpu.sms), tail_(gpu.tail(pass)) {
  if (gpu.attention.empty()) {
    if (!(gpu.attention_flops_per_s > 0))
      throw InvalidInput(fmt::format("GPU profile {} has neither an attention rate nor attention points", gpu.name));
    best_ = gpu.attention_flops_per_s * gpu.attention_scale;
    full_ = causal_ = {{head_dim_, {{0, best_}}, {}, {}}};
    return;
  }
  full_ = curves_of(gpu, shape, pass, KernelMask::kFull);
  causal_ = curves_of(gpu, shape, pass, KernelMask::kCausal);
  if (full_.empty() && causal_.empty())
    throw InvalidInput(
        fmt::format("GPU profile {} has no point of {} attention in {}: choose another dtype, or add "
                    "points to it",
                    gpu.name, name_of(pass), name_of(shape.dtype)));
  if (full_.empty()) full_ = causal_;
  if (causal_.empty()) causal_ = full_;
  for (Curve& curve : causal_)
    for (const Curve& full : full_)
      if (full.head_dim == curve.head_dim) {
        curve.full_rates = full.rates;
        for (const Rate& rate : curve.rates)
          curve.ratio_to_full.push_back({rate.length, rate.flops_per_s / rate_at(rate.length, full.rates)});
      }
  for (const AttentionPoint& point : gpu.attention)
    if (point.pass == pass && same_rate(point.dtype, shape.dtype))
      best_ =
          std::max(best_, point.flops_per_s * gpu.attention_scale * tail_factor(point.mask, thread_blocks_of(point)));
}

std::vector<KernelRates::Rate> KernelRates::rates_of(const GpuProfile& gpu, const AttentionShape& shape, Pass pass,
                                                     KernelMask mask, int head_dim) const {
  std::vector<AttentionPoint> points;
  std::ranges::copy_if(gpu.attention, std::back_inserter(points), [&](const AttentionPoint& p) {
    return p.pass == pass && p.mask == mask && p.head_dim == head_dim && same_rate(p.dtype, shape.dtype);
  });
  const auto of = [&](const AttentionPoint& p) { return distance(p, shape); };
  const auto nearest = of(*std::ranges::min_element(points, {}, of));
  std::map<double, std::pair<double, int>> by_length;  // sum and number of the rates at each length
  for (const AttentionPoint& p : points) {
    if (of(p) != nearest) continue;
    auto& [sum, number] = by_length[static_cast<double>(pass == Pass::kForward ? p.kv_tokens : p.q_tokens)];
    sum += p.flops_per_s * gpu.attention_scale * tail_factor(mask, thread_blocks_of(p));
    ++number;
  }
  std::vector<Rate> rates;
  for (const auto& [length, mean] : by_length) rates.push_back({length, mean.first / mean.second});
  return rates;
}

KernelRates::Curves KernelRates::curves_of(const GpuProfile& gpu, const AttentionShape& shape, Pass pass,
                                           KernelMask mask) const {
  std::set<int> dims;
  for (const AttentionPoint& p : gpu.attention)
    if (p.pass == pass && p.mask == mask && same_rate(p.dtype, shape.dtype)) dims.insert(p.head_dim);
  Curves curves;
  if (dims.empty()) return curves;
  for (int dim : nearest_dims(dims, shape.head_dim))
    curves.push_back({dim, rates_of(gpu, shape, pass, mask, dim), {}, {}});
  return curves;
}

double KernelRates::rate_at(double length, const std::vector<Rate>& rates) {
  const auto above = std::ranges::upper_bound(rates, length, {}, &Rate::length);
  if (above == rates.end()) return rates.back().flops_per_s;
  if (rates.size() == 1) return above->flops_per_s * length / above->length;
  const bool below_all = above == rates.begin();
  const Rate &a = below_all ? *above : *(above - 1), &b = below_all ? *(above + 1) : *above;
  const double slope = (1 / a.flops_per_s - 1 / b.flops_per_s) / (1 / a.length - 1 / b.length);
  return 1 / (1 / a.flops_per_s + (below_all ? std::max(0.0, slope) : slope) * (1 / length - 1 / a.length));
}

double KernelRates::rate_at(double length, const Curve& curve) {
  const auto above = std::ranges::upper_bound(curve.ratio_to_full, length, {}, &Rate::length);
  if (above == curve.ratio_to_full.begin() || above == curve.ratio_to_full.end()) return rate_at(length, curve.rates);
  const Rate &a = *(above - 1), &b = *above;
  const double way = (1 / length - 1 / a.length) / (1 / b.length - 1 / a.length);
  return rate_at(length, curve.full_rates) * (a.flops_per_s + way * (b.flops_per_s - a.flops_per_s));
}

double KernelRates::rate_at(double length, const Curves& curves) const {
  if (curves.size() == 1) return std::min(best_, rate_at(length, curves[0]));
  const Curve &low = curves[0], &high = curves[1];
  const double low_s = low.head_dim / rate_at(length, low),
               high_s = high.head_dim / rate_at(length, high);  // ∝ seconds of a pair
  double pair_s =
      low_s + (high_s - low_s) * (head_dim_ - low.head_dim) / static_cast<double>(high.head_dim - low.head_dim);
  if (head_dim_ < low.head_dim) pair_s = std::clamp(pair_s, low_s * head_dim_ / low.head_dim, low_s);
  if (head_dim_ > high.head_dim) pair_s = std::clamp(pair_s, high_s, high_s * head_dim_ / high.head_dim);
  return std::min(best_, head_dim_ / pair_s);
}

double KernelRates::tail_factor(KernelMask mask, double thread_blocks) const {
  if (sms_ == 0) return 1;
  const double waves = thread_blocks / sms_;
  return mask == KernelMask::kFull ? std::ceil(waves) / waves : 1 + tail_ / waves;
}

double KernelRates::before_last_wave(double thread_blocks) const {
  return sms_ == 0 ? 0 : 1 - 1 / std::max(1.0, std::ceil(thread_blocks / sms_));
}

double KernelRates::seconds(double full_flops, double causal_flops, double length, double thread_blocks) const {
  double seconds = 0;
  if (full_flops > 0) seconds += full_flops / rate_at(length, full_) * tail_factor(KernelMask::kFull, thread_blocks);
  if (causal_flops > 0)
    seconds += causal_flops / rate_at(length, causal_) * tail_factor(KernelMask::kCausal, thread_blocks);
  return seconds;
}

}  // namespace meshattn
