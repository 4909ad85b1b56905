#pragma once

#include <span>
#include <utility>

#include "gpu/fused/cudnn_graph.h"

namespace meshattn::testing {

/// Executes a graph in double precision on tensors of the host. If a matrix product has fewer heads on one side,
/// neighbouring heads share one. A tensor without an address gets memory of its own.
void interpret(const gpu::Graph& graph, std::span<const std::pair<std::int64_t, void*>> places);

}  // namespace meshattn::testing
