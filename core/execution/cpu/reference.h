#pragma once

#include <span>
#include <vector>

#include "core/problem/problem.h"

namespace meshattn::cpu {

/// The tensors of one attention layer, row-major: q, o, d_o, dq [batch, seq_q, heads, head_dim]; k, v, dk, dv
/// [batch, seq_kv, kv_heads, head_dim]; lse [batch, seq_q, heads].
struct Tensors {
  std::vector<double> q, k, v, d_o;  // given
  std::vector<double> o, lse;        // forward
  std::vector<double> dq, dk, dv;    // backward
};

/// Random q, k, v and d_o (standard normal) for a shape.
[[nodiscard]] Tensors random_tensors(const AttentionShape& shape, std::uint64_t seed);

/// Dense attention with softmax scale 1/√head_dim: fills o and lse (natural log).
void dense_forward(const AttentionShape& shape, const Mask& mask, Tensors& tensors);

/// Dense gradients: fills dq, dk, dv. Needs o and lse.
void dense_backward(const AttentionShape& shape, const Mask& mask, Tensors& tensors);

}  // namespace meshattn::cpu
