#include "core/schedule/passes/verify.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/schedule/passes/verify/checks.h"

namespace meshattn {

namespace validation {

std::string describe(const Schedule& s, ValueId v) {
  return fmt::format("{} value {}", name_of(s.values[v].tensor), v);
}
std::string describe_op(const Schedule& s, OpId op) { return fmt::format("op {} of rank {}", op, s.rank_of(op)); }

}  // namespace validation

std::vector<Finding> validate(const Schedule& schedule, std::size_t most) {
  validation::Findings found(std::max<std::size_t>(most, 1));
  validation::check_structure(schedule, found);
  if (!found.empty()) return found.take();
  validation::check_operands(schedule, found);
  validation::check_dataflow(schedule, found);
  validation::check_coverage(schedule, found);
  validation::check_progress(schedule, found);
  if (found.empty()) validation::check_memory(schedule, found);
  return found.take();
}

}  // namespace meshattn
