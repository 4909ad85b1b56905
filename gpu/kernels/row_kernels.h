#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "gpu/kernels/call.h"
#include "gpu/kernels/float_types.h"

namespace meshattn::gpu {

// The reference kernels, one row at a time, in one source for CPU threads and devices. A row is the work of a team: one
// CPU thread or the 32 threads of a warp. Member m of n has the numbers m, m + n, … of the row. A team has
//   static constexpr int kMembers;
//   int member() const;
//   float sum(float x) const;   // over all members, in a fixed order; every member gets it
//   void sync() const;          // a barrier of the members

/// The log-sum-exp of a query without keys.
inline constexpr float kNoKeys = -std::numeric_limits<float>::infinity();

template <typename T>
[[nodiscard]] constexpr T* at(std::byte* arena, const MatrixView& rows, int item, int head, std::int64_t token) {
  return reinterpret_cast<T*>(arena + rows.offset) + rows.row_index(item, head, token) * rows.width;
}

/// One member's share of a row, in registers.
template <typename Team>
struct RowFragment {
  static constexpr int kMax = (kMaxWidth + Team::kMembers - 1) / Team::kMembers;
  float number[kMax];

  /// Calls f(number, index in the row) for each number of this member. For a warp the loop has a constant number of
  /// iterations, so that the compiler keeps the numbers in registers.
  template <typename F>
  constexpr void for_each(const Team& team, int width, F&& f) {
    for (int n = 0; n < (Team::kMembers == 1 ? width : kMax); ++n)
      if (const int c = team.member() + n * Team::kMembers; c < width) f(number[n], c);
  }
};

template <typename T, typename Team>
constexpr void load(const Team& team, RowFragment<Team>& row, const T* from, int width) {
  row.for_each(team, width, [&](float& x, int c) { x = to_float(from[c]); });
}

template <typename T, typename Team>
constexpr float dot(const Team& team, RowFragment<Team>& row, const T* other, int width) {
  float sum = 0;
  row.for_each(team, width, [&](float& x, int c) { sum += x * to_float(other[c]); });
  return team.sum(sum);
}

/// row += factor · x
template <typename T, typename Team>
constexpr void add(const Team& team, RowFragment<Team>& row, float factor, const T* x, int width) {
  row.for_each(team, width, [&](float& sum, int c) { sum += factor * to_float(x[c]); });
}

/// Merges attention over other keys, (x, x_lse), into (o, lse): the new log-sum-exp is max + log1p(exp(−|difference|)).
/// Either may have no keys.
template <typename T, typename Team>
constexpr void merge(const Team& team, RowFragment<Team>& o, float& lse, const T* x, float x_lse, int width) {
  if (x_lse == kNoKeys) return;
  if (lse == kNoKeys) {
    lse = x_lse;
    return load(team, o, x, width);
  }
  const float merged = std::fmax(lse, x_lse) + std::log1p(std::exp(-std::fabs(lse - x_lse)));
  const float weight = std::exp(lse - merged), x_weight = std::exp(x_lse - merged);
  o.for_each(team, width, [&](float& sum, int c) { sum = weight * sum + x_weight * to_float(x[c]); });
  lse = merged;
}

/// One query row of an AttendCall. T is the type of q, k and v; o is fp32.
template <typename T, typename Team>
constexpr void attend_row(const Team& team, const AttendCall& call, std::byte* arena, int item, int head,
                          std::int64_t i) {
  const int d = call.q.width, kv_head = head / (call.q.heads / call.k.heads);
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  RowFragment<Team> q{}, sum{};
  load(team, q, at<T>(arena, call.q, item, head, i), d);
  float highest = kNoKeys, weights = 0;
  for (std::int64_t j = call.band.keys_begin(i), end = call.band.keys_end(i, call.k.tokens); j < end; ++j) {
    const float score = scale * dot(team, q, at<T>(arena, call.k, item, kv_head, j), d);
    const float higher = std::fmax(highest, score);
    const float kept = std::exp(highest - higher), weight = std::exp(score - higher);
    const T* v = at<T>(arena, call.v, item, kv_head, j);
    sum.for_each(team, d, [&](float& x, int c) { x = kept * x + weight * to_float(v[c]); });
    weights = kept * weights + weight;
    highest = higher;
  }
  float lse = weights > 0 ? highest + std::log(weights) : kNoKeys;
  if (weights > 0) sum.for_each(team, d, [&](float& x, int) { x /= weights; });
  float* o = at<float>(arena, call.o, item, head, i);
  float* o_lse = at<float>(arena, call.lse, item, head, i);
  if (call.merge) {
    const float before = *o_lse;
    merge(team, sum, lse, o, before, d);
    team.sync();  // one member writes o_lse once all have read it
  }
  sum.for_each(team, d, [&](float& x, int c) { o[c] = x; });
  if (team.member() == 0) *o_lse = lse;
}

/// dq of one query row of a BackwardCall.
template <typename T, typename Team>
constexpr void backward_query_row(const Team& team, const BackwardCall& call, std::byte* arena, int item, int head,
                                  std::int64_t i) {
  const int d = call.q.width, kv_head = head / (call.q.heads / call.k.heads);
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  const float lse = *at<float>(arena, call.lse, item, head, i), delta = *at<float>(arena, call.delta, item, head, i);
  RowFragment<Team> q{}, d_o{}, sum{};
  load(team, q, at<T>(arena, call.q, item, head, i), d);
  load(team, d_o, at<T>(arena, call.d_o, item, head, i), d);
  for (std::int64_t j = call.band.keys_begin(i), end = call.band.keys_end(i, call.k.tokens); j < end; ++j) {
    const T* k = at<T>(arena, call.k, item, kv_head, j);
    const float p = std::exp(scale * dot(team, q, k, d) - lse);
    const float ds = scale * p * (dot(team, d_o, at<T>(arena, call.v, item, kv_head, j), d) - delta);
    add(team, sum, ds, k, d);
  }
  float* dq = at<float>(arena, call.dq, item, head, i);
  sum.for_each(team, d, [&](float& x, int c) { dq[c] = call.add_dq ? dq[c] + x : x; });
}

/// dk and dv of one key row of a BackwardCall, summed over the query heads that share it, in order.
template <typename T, typename Team>
constexpr void backward_key_row(const Team& team, const BackwardCall& call, std::byte* arena, int item, int kv_head,
                                std::int64_t j) {
  const int d = call.k.width, group = call.q.heads / call.k.heads;
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  RowFragment<Team> k{}, v{}, sum_k{}, sum_v{};
  load(team, k, at<T>(arena, call.k, item, kv_head, j), d);
  load(team, v, at<T>(arena, call.v, item, kv_head, j), d);
  for (int head = kv_head * group; head < (kv_head + 1) * group; ++head)
    for (std::int64_t i = call.band.queries_begin(j), end = call.band.queries_end(j, call.q.tokens); i < end; ++i) {
      const T *q = at<T>(arena, call.q, item, head, i), *d_o = at<T>(arena, call.d_o, item, head, i);
      const float lse = *at<float>(arena, call.lse, item, head, i);
      const float p = std::exp(scale * dot(team, k, q, d) - lse);
      const float ds = scale * p * (dot(team, v, d_o, d) - *at<float>(arena, call.delta, item, head, i));
      add(team, sum_k, ds, q, d);
      add(team, sum_v, p, d_o, d);
    }
  float *dk = at<float>(arena, call.dk, item, kv_head, j), *dv = at<float>(arena, call.dv, item, kv_head, j);
  sum_k.for_each(team, d, [&](float& x, int c) { dk[c] = call.add_dkv ? dk[c] + x : x; });
  sum_v.for_each(team, d, [&](float& x, int c) { dv[c] = call.add_dkv ? dv[c] + x : x; });
}

/// One row of a DeltaCall. T is the type of o and dO.
template <typename T, typename Team>
constexpr void delta_row(const Team& team, const DeltaCall& call, std::byte* arena, int item, int head,
                         std::int64_t i) {
  RowFragment<Team> o{};
  load(team, o, at<T>(arena, call.o, item, head, i), call.o.width);
  const float delta = dot(team, o, at<T>(arena, call.d_o, item, head, i), call.o.width);
  if (team.member() != 0) return;
  *at<float>(arena, call.made_lse, item, head, i) = *at<float>(arena, call.lse, item, head, i);
  *at<float>(arena, call.made_delta, item, head, i) = delta;
}

/// O' = delta · dO / |dO|², or zero if dO is zero. T is the type of dO and O'.
template <typename T, typename Team>
constexpr void surrogate_row(const Team& team, const SurrogateCall& call, std::byte* arena, int item, int head,
                             std::int64_t i) {
  RowFragment<Team> row{};
  const T* from = at<T>(arena, call.d_o, item, head, i);
  load(team, row, from, call.d_o.width);
  const float square = dot(team, row, from, call.d_o.width);
  const float factor = square > 0 ? *at<float>(arena, call.delta, item, head, i) / square : 0;
  T* to = at<T>(arena, call.made, item, head, i);
  row.for_each(team, call.d_o.width, [&](float& x, int c) { to[c] = from_float<T>(factor * x); });
}

/// Calls f with a pointer, of the matrix's number type, to a row.
template <typename F>
constexpr void visit_row(std::byte* arena, const MatrixView& matrix, int item, int head, std::int64_t i, F&& f) {
  if (matrix.dtype == Dtype::kFp32)
    f(at<float>(arena, matrix, item, head, i));
  else if (matrix.dtype == Dtype::kBf16)
    f(at<Bf16>(arena, matrix, item, head, i));
  else
    f(at<Fp16>(arena, matrix, item, head, i));
}

/// One row of a CombineCall with `count` summands.
template <typename Team>
constexpr void combine_row(const Team& team, const Summand* summands, int count, const MatrixView& made,
                           const MatrixView& made_lse, std::byte* arena, int item, int head, std::int64_t i) {
  RowFragment<Team> sum{};
  float lse = kNoKeys;
  for (int s = 0; s < count; ++s)
    visit_row(arena, summands[s].rows, item, head, i, [&](const auto* x) {
      if (made_lse.width > 0)
        merge(team, sum, lse, x, *at<float>(arena, summands[s].lse, item, head, i), made.width);
      else
        add(team, sum, 1, x, made.width);
    });
  team.sync();  // `made` may be one of the summands
  visit_row(arena, made, item, head, i, [&]<typename T>(T* to) {
    sum.for_each(team, made.width, [&](float& x, int c) { to[c] = from_float<T>(x); });
  });
  if (made_lse.width > 0 && team.member() == 0) *at<float>(arena, made_lse, item, head, i) = lse;
}

}  // namespace meshattn::gpu
