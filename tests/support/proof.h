#pragma once

#include <string>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Random tensors of a shape with the results of dense attention, of both passes.
[[nodiscard]] cpu::Tensors dense_tensors(const AttentionShape& shape, Mask mask);

/// Greatest absolute deviation divided by the greatest expected absolute value; infinite if a number is missing or not
/// finite. The second form takes the largest of the results of a pass.
[[nodiscard]] double error_of(const std::vector<double>& actual, const std::vector<double>& expected);
[[nodiscard]] double error_of(const cpu::Tensors& actual, const cpu::Tensors& expected, Pass pass);

/// Expects that `verify` proves a schedule with memory, that its results equal dense attention to 1e-12 in fp64, and
/// that its text reads back unchanged. Failures print `what`.
void expect_right(const Schedule& schedule, const cpu::Tensors& dense, const std::string& what);

/// As `expect_right`, after pruning the schedule and assigning its memory.
void expect_proved(Schedule schedule, const cpu::Tensors& dense, const std::string& what);

}  // namespace meshattn::testing
