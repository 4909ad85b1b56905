#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/execution/cpu/view.h"

namespace meshattn::cpu {

template <typename T>
[[nodiscard]] T dot(const T* x, const T* y, int n) {
  T sum = 0;
  for (int c = 0; c < n; ++c) sum += x[c] * y[c];
  return sum;
}

/// to += factor · x
template <typename T>
void add(T* to, T factor, const T* x, int n) {
  for (int c = 0; c < n; ++c) to[c] += factor * x[c];
}

/// The log-sum-exp of no keys.
template <typename T>
inline constexpr T kNoKeys = -std::numeric_limits<T>::infinity();

/// Merges (x, x_lse), attention over other keys, into (o, lse). Either may be over no keys.
template <typename T>
void merge(T* o, T& lse, const T* x, T x_lse, int n) {
  if (x_lse == kNoKeys<T>) return;
  const T highest = std::max(lse, x_lse);
  const T old_weight = std::exp(lse - highest);
  const T new_weight = std::exp(x_lse - highest);
  const T sum = old_weight + new_weight;
  for (int c = 0; c < n; ++c) o[c] = (o[c] * old_weight + x[c] * new_weight) / sum;
  lse = highest + std::log(sum);
}

/// A block of queries × keys: the pairs that the mask leaves, and the key/value head of each query head.
struct BlockShape {
  Block block;
  const Mask& mask;
  TokenRun q_run, kv_run;
  int batch;
  int head_dim;
  int group;

  /// Indices of the keys that query i sees.
  [[nodiscard]] Interval keys_of(std::int64_t i) const {
    switch (block.kind) {
      case Block::Kind::kEmpty:
        return {};
      case Block::Kind::kFull:
        return {0, kv_run.count};
      case Block::Kind::kCausal:
        return {0, std::clamp<std::int64_t>(i + block.shift + 1, 0, kv_run.count)};
      case Block::Kind::kPartial:
        return kv_run.indices_in(mask.keys_of(q_run.start + i * q_run.stride));
    }
    return {};
  }

  /// Calls f(b, query, head, keys seen) for every query row that sees a key, of the heads that both sides have.
  template <typename F>
  void for_each_query(HeadRange q_heads, HeadRange kv_heads, F&& f) const {
    const HeadRange heads = common(q_heads, {kv_heads.begin * group, kv_heads.end * group});
    for (int b = 0; b < batch; ++b)
      for (int h = heads.begin; h < heads.end; ++h)
        for (std::int64_t i = 0; i < q_run.count; ++i)
          if (const Interval seen = keys_of(i); seen.begin < seen.end) f(b, i, h, seen);
  }
};

/// Computes attention of one block and merges it into o.
template <typename T>
void attend_block(const BlockShape& s, const CellView<T>& q, const CellView<T>& kv, const CellView<T>& o) {
  const int d = s.head_dim;
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d)));
  std::vector<T> scores(static_cast<std::size_t>(kv.tokens())), sum_v(static_cast<std::size_t>(d));
  s.for_each_query(common(q.heads(), o.heads()), kv.heads(), [&](int b, std::int64_t i, int h, Interval seen) {
    const auto score = [&](std::int64_t j) -> T& { return scores[static_cast<std::size_t>(j)]; };
    T highest = kNoKeys<T>;
    for (std::int64_t j = seen.begin; j < seen.end; ++j) {
      score(j) = scale * dot(q.row(b, i, h), kv.row(b, j, h / s.group), d);
      highest = std::max(highest, score(j));
    }
    T sum = 0;
    std::fill(sum_v.begin(), sum_v.end(), T{0});
    for (std::int64_t j = seen.begin; j < seen.end; ++j) {
      const T weight = std::exp(score(j) - highest);
      sum += weight;
      add(sum_v.data(), weight, kv.v_row(b, j, h / s.group), d);
    }
    for (T& x : sum_v) x /= sum;
    merge(o.row(b, i, h), o.lse(b, i, h), sum_v.data(), highest + std::log(sum), d);
  });
}

/// One query cell of the backward pass: its operands, and dQ to add to.
template <typename T>
struct BackwardCells {
  CellView<T> q, d_o, delta, dq;
};

/// The gradients of one block, added to dq and dkv. Query heads that share a key/value head add to it in order.
template <typename T>
void attend_block_backward(const BlockShape& s, const BackwardCells<T>& r, const CellView<T>& kv,
                           const CellView<T>& dkv) {
  const int d = s.head_dim;
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d)));
  const HeadRange q_heads = common(common(r.q.heads(), r.d_o.heads()), common(r.delta.heads(), r.dq.heads()));
  s.for_each_query(q_heads, common(kv.heads(), dkv.heads()), [&](int b, std::int64_t i, int h, Interval seen) {
    const T *q = r.q.row(b, i, h), *d_o = r.d_o.row(b, i, h);
    const T lse = r.delta.lse(b, i, h), delta = r.delta.delta(b, i, h);
    for (std::int64_t j = seen.begin; j < seen.end; ++j) {
      const int g = h / s.group;
      const T* k = kv.row(b, j, g);
      const T p = std::exp(scale * dot(q, k, d) - lse);
      const T ds = scale * p * (dot(d_o, kv.v_row(b, j, g), d) - delta);
      add(r.dq.row(b, i, h), ds, k, d);
      add(dkv.row(b, j, g), ds, q, d);
      add(dkv.v_row(b, j, g), p, d_o, d);
    }
  });
}

}  // namespace meshattn::cpu
