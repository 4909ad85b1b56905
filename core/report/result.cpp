#include "core/report/result.h"

#include <utility>

namespace meshattn {

Summary Result::total() const {
  Summary sum = summaries.front();
  for (std::size_t i = 1; i < summaries.size(); ++i) sum = one_after_other(sum, summaries[i]);
  return sum;
}

Result result_of(Plan plan) {
  Result result{std::string(plan.phases.front().configuration.algorithm->name), forms_text(plan)};
  result.partition = plan.partition();
  result.plan = std::move(plan);
  return result;
}

}  // namespace meshattn
