#pragma once

#include <string>

#include "core/cpu/reference.h"
#include "core/schedule.h"

namespace meshattn::testing {

/// Random tensors of a shape with what dense attention makes of them, both passes.
[[nodiscard]] cpu::Tensors dense_tensors(const AttentionShape& shape, Mask mask);

/// Prunes a schedule and assigns its memory, and expects that it is proved, that its numbers are those of dense
/// attention to 1e-12 in fp64, and that its text reads back as what was written. `what` is said where not.
void expect_proved(Schedule schedule, const cpu::Tensors& dense, const std::string& what);

}  // namespace meshattn::testing
