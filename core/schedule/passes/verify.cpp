#include "core/schedule/passes/verify.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/schedule/passes/verify/checks.h"

namespace meshattn {

namespace verification {

std::string describe(const Schedule& s, ValueId v) {
  return fmt::format("{} value {}", name_of(s.values[v].tensor), v);
}
std::string describe_op(const Schedule& s, OpId op) { return fmt::format("op {} of rank {}", op, s.rank_of(op)); }

}  // namespace verification

std::vector<Finding> verify(const Schedule& schedule, std::size_t limit) {
  verification::Findings found(std::max<std::size_t>(limit, 1));
  verification::check_structure(schedule, found);
  if (!found.empty()) return found.take();
  verification::check_operands(schedule, found);
  verification::check_dataflow(schedule, found);
  verification::check_coverage(schedule, found);
  verification::check_progress(schedule, found);
  if (found.empty()) verification::check_memory(schedule, found);
  return found.take();
}

}  // namespace meshattn
