#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "gpu/calls.h"
#include "gpu/cudnn_graph.h"

namespace meshattn::gpu {

/// Strides of a matrix of rows, in numbers: between batch items, heads and tokens.
struct MatrixStrides {
  std::int64_t item = 0, head = 0, token = 0;

  friend auto operator<=>(const MatrixStrides&, const MatrixStrides&) = default;
};

[[nodiscard]] MatrixStrides strides_of(const Rows& rows);

/// What cuDNN makes a plan for: sizes, strides and which ends of the band there are (their places are run-time
/// arguments, but for a causal mask from the corner).
struct AttentionGraphKey {
  enum class Sight : std::uint8_t { kFull, kCausal, kUpper, kLower, kBoth };
  Pass pass = Pass::kForward;
  Dtype dtype = Dtype::kBf16;
  Sight sight = Sight::kFull;
  bool repeatable = false;  ///< backward: dq is not summed up by atomic additions; takes workspace of queries × keys
  std::int64_t items = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, width = 0;
  MatrixStrides q, k, v, o, lse;  ///< v as k; backward: o and dO have the same
  MatrixStrides d_o, dq, dk;      ///< backward; dv as dk

  friend auto operator<=>(const AttentionGraphKey&, const AttentionGraphKey&) = default;
};

[[nodiscard]] AttentionGraphKey::Sight sight_of(const Band& band);

/// Numbers of the tensors in memory or by value. A graph has those that its comment names, the scale, kGraphNoSight
/// unless its sight is full, and the ends of its band that are not fixed.
enum GraphTensorNumber : std::int64_t {
  kGraphQ = 1,
  kGraphK,
  kGraphV,
  kGraphO,
  kGraphLse,
  kGraphDO,
  kGraphDQ,
  kGraphDK,
  kGraphDV,
  kGraphDQSum,    ///< backward, unless repeatable
  kGraphScale,    ///< fp32: 1/√width
  kGraphNoSight,  ///< fp32: the score of pairs that the band leaves out
  kGraphOne,      ///< fp32: 1; backward
  kGraphUpper,    ///< int32
  kGraphLower,    ///< int32
};

/// Forward: q, k, v (16 bits) -> o (fp32), log-sum-exp (natural, fp32). kv_heads divides heads.
/// @throws DeviceError for sizes that have no meaning
[[nodiscard]] Graph forward_graph(const AttentionGraphKey& key);

/// Bytes of kGraphDQSum, into which a graph that is not repeatable adds up dq; must be zero when it runs.
[[nodiscard]] std::uint64_t dq_sum_bytes(const AttentionGraphKey& key);

/// Backward: q, k, v, o, dO (16 bits), log-sum-exp of the whole -> dq, dk, dv (fp32); delta is made from o and dO.
/// kv_heads = heads (cuDNN gives fp32 dk and dv only so); grouped heads: k and v with head stride 0.
/// @throws DeviceError for sizes that have no meaning
[[nodiscard]] Graph backward_graph(const AttentionGraphKey& key);

}  // namespace meshattn::gpu
