#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"

namespace meshattn::gpu {

/// The bytes of an input: its rows of the given tensors, rounded to its dtype. Without tensors, for runs that measure
/// times only: a short sequence of standard normal numbers, repeated, which is quick to make; log-sum-exps are those of
/// equal scores.
/// @throws InvalidInput if a needed tensor has the wrong size
[[nodiscard]] std::vector<std::byte> input_bytes(const Schedule& schedule, ValueId v, const cpu::Tensors* given);

/// Copies the rows of an output into the tensors. An empty tensor is created first, full of NaN.
void read_output(const Schedule& schedule, ValueId v, std::span<const std::byte> bytes, cpu::Tensors& to);

/// Tensors rounded to the dtype of the shape, as inputs are: q, k, v, d_o and o.
[[nodiscard]] cpu::Tensors rounded(const AttentionShape& shape, cpu::Tensors tensors);

}  // namespace meshattn::gpu
