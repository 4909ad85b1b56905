#pragma once

#include <span>
#include <utility>

#include "gpu/fused/cudnn_graph.h"

namespace meshattn::testing {

/// Does what a graph says, in double, on tensors of the host: what cuDNN would do but for rounding, if it takes the
/// graph. A matrix product's heads may be fewer on one side: neighbours share one. A tensor without a place has memory
/// of its own.
void interpret(const gpu::Graph& graph, std::span<const std::pair<std::int64_t, void*>> places);

}  // namespace meshattn::testing
