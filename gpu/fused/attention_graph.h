#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "gpu/fused/cudnn_graph.h"
#include "gpu/fused/fused_calls.h"

namespace meshattn::gpu {

/// Numbers of the tensors in memory or by value. A graph has those that its comment names, the scale, kGraphMaskedScore
/// unless its bounds are full, and the ends of its band that are not fixed.
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
  kGraphDQSum,        ///< backward, unless repeatable: dq_sum_bytes of zeros, into which dq is added up
  kGraphScale,        ///< fp32: 1/√width
  kGraphMaskedScore,  ///< fp32: the score of pairs that the band leaves out
  kGraphOne,          ///< fp32: 1; backward
  kGraphUpper,        ///< int32
  kGraphLower,        ///< int32
};

/// What a kernel's graph takes by value; must live until it has been run.
struct GraphScalars {
  float scale = 1, masked_score = 0, one = 1;
  std::int32_t upper = 0, lower = 0;
};

[[nodiscard]] GraphScalars scalars_of(const FusedKernel& kernel);

/// What a kernel's graph reads and writes: the numbers of its tensors with their places.
[[nodiscard]] std::vector<std::pair<std::int64_t, void*>> graph_tensors(const FusedKernel& kernel,
                                                                        GraphScalars& scalars, std::byte* arena);

/// Forward: q, k, v (16 bits) -> o (fp32), log-sum-exp (natural, fp32). kv_heads divides heads.
/// @throws DeviceError for sizes that have no meaning
[[nodiscard]] Graph forward_graph(const FusedKey& key);

/// Backward: q, k, v, o, dO (16 bits), log-sum-exp of the whole -> dq, dk, dv (fp32); delta is made from o and dO.
/// kv_heads = heads (cuDNN gives fp32 dk and dv only so); grouped heads: k and v with head stride 0.
/// @throws DeviceError for sizes that have no meaning
[[nodiscard]] Graph backward_graph(const FusedKey& key);

}  // namespace meshattn::gpu
