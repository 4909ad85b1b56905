#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "gpu/fused/cudnn_graph.h"
#include "gpu/fused/fused_calls.h"

namespace meshattn::gpu {

/// The numbers by which graphs name their tensors. A graph has the tensors that its comment lists, the scale,
/// kGraphMaskedScore unless its bounds are kFull, and each end of the band that is a run-time argument.
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
  kGraphDQSum,        ///< backward, unless repeatable: dq_sum_bytes of zeros, in which dq is summed
  kGraphScale,        ///< fp32: 1/√width
  kGraphMaskedScore,  ///< fp32: the score of pairs outside the band
  kGraphOne,          ///< fp32: 1; backward
  kGraphUpper,        ///< int32: Band::upper
  kGraphLower,        ///< int32: Band::lower
};

/// The scalars that a kernel's graph takes by value. They must live until the graph has run.
struct GraphScalars {
  float scale = 1, masked_score = 0, one = 1;
  std::int32_t upper = 0, lower = 0;
};

[[nodiscard]] GraphScalars scalars_of(const FusedKernel& kernel);

/// The tensors of a kernel's graph: their numbers and addresses.
[[nodiscard]] std::vector<std::pair<std::int64_t, void*>> graph_tensors(const FusedKernel& kernel,
                                                                        GraphScalars& scalars, std::byte* arena);

/// Forward: q, k, v (16 bits) -> o (fp32), log-sum-exp (natural, fp32). kv_heads divides heads.
/// @throws DeviceError for invalid sizes
[[nodiscard]] Graph forward_graph(const FusedKey& key);

/// Backward: q, k, v, o, dO (16 bits), log-sum-exp of the whole sequence -> dq, dk, dv (fp32); delta is computed from o
/// and dO. kv_heads = heads, for otherwise cuDNN gives no fp32 dk and dv; a group of heads has head stride 0 in k and
/// v.
/// @throws DeviceError for invalid sizes
[[nodiscard]] Graph backward_graph(const FusedKey& key);

}  // namespace meshattn::gpu
