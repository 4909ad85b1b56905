#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/algorithms/catalogue.h"
#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Schedules, with memory assigned, and their names: every algorithm with every choice, both passes, a full, a causal
/// and a window mask, with one slice and with two.
[[nodiscard]] std::vector<std::pair<std::string, Schedule>> schedules_of(int ranks, Dtype dtype, int head_dim = 2);

/// The schedule of one algorithm, planned for GPUs on one switch.
[[nodiscard]] Schedule schedule_of(const Problem& problem, std::string_view algorithm, const Options& options = {});

}  // namespace meshattn::testing
