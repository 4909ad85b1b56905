#pragma once

#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

#include "core/planner/request.h"
#include "core/report/plan_facts.h"
#include "core/report/result.h"

namespace meshattn {

/// One object: the request, then the keys of Summary; after two passes also "forward" and "backward" with such keys.
void write_json(std::ostream& out, const Request& request, const Result& result);

/// One object: the request, then "rows", each a result or {"algorithm", "choice", "not_possible"}.
void write_json(std::ostream& out, const Request& request, std::span<const Result> rows);

/// One object: the request, algorithm and tile, then the facts of each phase, by the name of its pass.
void write_json(std::ostream& out, const Request& request, const Plan& plan, std::span<const PlanFacts> phases);

/// How many figures a cluster and its GPUs are known by, and how many of these are assumed.
struct FigureCount {
  int all = 0;
  int assumed = 0;
};
[[nodiscard]] FigureCount count_figures(const Cluster& cluster);

/// The partition and the summaries of a result, a line each, without loss: how a child process hands a result over.
[[nodiscard]] std::string to_text(const Result& result);
/// Reads what `to_text` wrote of a request's result. Its phases have configurations, but neither schedules nor traces.
[[nodiscard]] Result read_result(std::string_view text, const Request& request);

/// A summary as text and back, without loss.
[[nodiscard]] std::string to_text(const Summary& summary);
[[nodiscard]] Summary read_summary(std::string_view text);

}  // namespace meshattn
