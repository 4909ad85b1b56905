#pragma once

#include <string>
#include <vector>

#include "core/planner/plan.h"
#include "core/planner/request.h"
#include "core/report/summary.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// What came out of a request: a plan with the summary of each of its phases, or why there is none.
struct Result {
  std::string algorithm;                ///< its name; "schedule" if a schedule was given
  std::string choice;                   ///< in words: its tile and all else that was chosen about it
  Plan plan = {};                       ///< no phases if a schedule was given, or if there is no plan
  std::vector<Trace> traces = {};       ///< of the phases
  std::vector<Summary> summaries = {};  ///< of the phases
  Partition partition = {};
  std::string impossible = {};  ///< why there is no plan
  bool is_fastest = false;      ///< of several; of those as fast, the one that receives least
  bool within_range = false;    ///< of several: no slower than the fastest may be by the uncertainty of its figures

  [[nodiscard]] bool is_possible() const { return !summaries.empty(); }
  /// All phases one after the other.
  [[nodiscard]] Summary total() const;
};

/// A plan without results so far.
[[nodiscard]] Result result_of(Plan plan);

}  // namespace meshattn
