#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/algorithms/catalogue.h"
#include "core/schedule/schedule.h"

namespace meshattn::testing {

/// Every algorithm with every choice on so many ranks, in both passes, full, causal and in a window, with and without
/// slices: a name and a schedule that has its memory, of so many tokens a rank, in a dtype.
[[nodiscard]] std::vector<std::pair<std::string, Schedule>> schedules_of(int ranks, Dtype dtype, int head_dim = 2);

/// One algorithm in one form, planned for GPUs that are joined by one switch.
[[nodiscard]] Schedule schedule_of(const Problem& problem, std::string_view algorithm, const Choices& choices = {});

}  // namespace meshattn::testing
