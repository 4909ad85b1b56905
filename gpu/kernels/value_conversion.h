#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"

namespace meshattn::gpu {

/// The bytes of an input: its rows of the given tensors, rounded to its dtype. If none are given, for who looks at
/// times only: few random numbers (standard normal) again and again, which takes little time; log-sum-exps of keys that
/// are all alike.
/// @throws InvalidInput if a tensor that is needed has the wrong size.
[[nodiscard]] std::vector<std::byte> input_bytes(const Schedule& schedule, ValueId v, const cpu::Tensors* given);

/// Puts the rows of an output where they belong in `to`; a tensor that is empty is made, full of NaN.
void read_output(const Schedule& schedule, ValueId v, std::span<const std::byte> bytes, cpu::Tensors& to);

/// Given tensors as inputs have them: q, k, v and d_o, and o if there is one, rounded to the dtype of the shape.
[[nodiscard]] cpu::Tensors rounded(const AttentionShape& shape, cpu::Tensors tensors);

}  // namespace meshattn::gpu
