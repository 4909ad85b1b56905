#pragma once

#include <string>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Random tensors of a shape with what dense attention makes of them, both passes.
[[nodiscard]] cpu::Tensors dense_tensors(const AttentionShape& shape, Mask mask);

/// Greatest deviation over the greatest number, infinite where a number is missing; of all results of a pass the
/// largest.
[[nodiscard]] double error_of(const std::vector<double>& is, const std::vector<double>& should);
[[nodiscard]] double error_of(const cpu::Tensors& is, const cpu::Tensors& should, Pass pass);

/// Expects of a schedule with memory that it is proved, that its numbers are those of dense attention to 1e-12 in fp64,
/// and that its text reads back as what was written. `what` is said where not.
void expect_right(const Schedule& schedule, const cpu::Tensors& dense, const std::string& what);

/// The same of a schedule that it first prunes and assigns memory to.
void expect_proved(Schedule schedule, const cpu::Tensors& dense, const std::string& what);

}  // namespace meshattn::testing
