#include "core/execution/cpu/reference.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace meshattn::cpu {

namespace {

/// Layout of the tensors, and the keys that a query sees.
struct Dense {
  const AttentionShape& shape;
  const Mask& mask;
  double scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));

  [[nodiscard]] std::size_t q_row(int b, std::int64_t i, int h) const {
    return static_cast<std::size_t>((b * shape.seq_q + i) * shape.heads + h);
  }
  [[nodiscard]] std::size_t kv_row(int b, std::int64_t j, int h) const {
    return static_cast<std::size_t>((b * shape.seq_kv + j) * shape.kv_heads + h / shape.group());
  }
  [[nodiscard]] std::size_t at(std::size_t row) const { return row * static_cast<std::size_t>(shape.head_dim); }
  /// Positions of the keys that query i sees.
  [[nodiscard]] Interval keys_of(std::int64_t i) const {
    const Interval keys = mask.keys_of(shape.seq_kv - shape.seq_q + i);
    return {keys.begin, std::min(keys.end, shape.seq_kv)};
  }
  [[nodiscard]] double dot(const double* x, const double* y) const {
    double sum = 0;
    for (int c = 0; c < shape.head_dim; ++c) sum += x[c] * y[c];
    return sum;
  }
  void add(double* to, double factor, const double* x) const {
    for (int c = 0; c < shape.head_dim; ++c) to[c] += factor * x[c];
  }

  /// Calls f(b, i, h) for every query row.
  template <typename F>
  void for_each_query(F&& f) const {
    for (int b = 0; b < shape.batch; ++b)
      for (std::int64_t i = 0; i < shape.seq_q; ++i)
        for (int h = 0; h < shape.heads; ++h) f(b, i, h);
  }
};

}  // namespace

Tensors random_tensors(const AttentionShape& shape, std::uint64_t seed) {
  check(shape);
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  const auto fill = [&](std::vector<double>& to, std::int64_t seq, int heads) {
    to.resize(static_cast<std::size_t>(seq * shape.batch * heads * shape.head_dim));
    for (double& x : to) x = normal(generator);
  };
  Tensors t;
  fill(t.q, shape.seq_q, shape.heads);
  fill(t.k, shape.seq_kv, shape.kv_heads);
  fill(t.v, shape.seq_kv, shape.kv_heads);
  fill(t.d_o, shape.seq_q, shape.heads);
  return t;
}

void dense_forward(const AttentionShape& shape, const Mask& mask, Tensors& t) {
  const Dense d{shape, mask};
  t.o.assign(t.q.size(), 0);
  t.lse.assign(t.q.size() / static_cast<std::size_t>(shape.head_dim), 0);
  std::vector<double> scores;
  d.for_each_query([&](int b, std::int64_t i, int h) {
    const std::size_t row = d.q_row(b, i, h);
    const auto [begin, end] = d.keys_of(i);
    scores.clear();
    for (std::int64_t j = begin; j < end; ++j)
      scores.push_back(d.scale * d.dot(&t.q[d.at(row)], &t.k[d.at(d.kv_row(b, j, h))]));
    const double highest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double score : scores) sum += std::exp(score - highest);
    t.lse[row] = highest + std::log(sum);
    for (std::int64_t j = begin; j < end; ++j)
      d.add(&t.o[d.at(row)], std::exp(scores[static_cast<std::size_t>(j - begin)] - highest) / sum,
            &t.v[d.at(d.kv_row(b, j, h))]);
  });
}

void dense_backward(const AttentionShape& shape, const Mask& mask, Tensors& t) {
  const Dense d{shape, mask};
  t.dq.assign(t.q.size(), 0);
  t.dk.assign(t.k.size(), 0);
  t.dv.assign(t.v.size(), 0);
  d.for_each_query([&](int b, std::int64_t i, int h) {
    const std::size_t row = d.q_row(b, i, h);
    const double *q = &t.q[d.at(row)], *d_o = &t.d_o[d.at(row)];
    const double delta = d.dot(d_o, &t.o[d.at(row)]);
    const auto [begin, end] = d.keys_of(i);
    for (std::int64_t j = begin; j < end; ++j) {
      const std::size_t kv = d.at(d.kv_row(b, j, h));
      const double p = std::exp(d.scale * d.dot(q, &t.k[kv]) - t.lse[row]);
      const double ds = d.scale * p * (d.dot(d_o, &t.v[kv]) - delta);
      d.add(&t.dq[d.at(row)], ds, &t.k[kv]);
      d.add(&t.dk[kv], ds, q);
      d.add(&t.dv[kv], p, d_o);
    }
  });
}

}  // namespace meshattn::cpu
