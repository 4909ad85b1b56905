#include "experiments/measure/run_validation.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/base/format.h"
#include "core/base/output_file.h"
#include "core/planner/end_makespans.h"
#include "core/report/chrome_trace.h"
#include "core/report/trace_difference.h"
#include "experiments/cli/text/table.h"
#include "experiments/measure/measure.h"
#include "experiments/measure/run_report.h"
#include "experiments/simulator.h"

namespace meshattn {

namespace {

/// A pass that was run and simulated.
struct Validation {
  PassRun run;
  Trace simulated;
  double least_s = 0, most_s = 0;  ///< simulated, by the uncertainty of the cluster's figures
  TraceDifference difference;

  [[nodiscard]] double error() const { return simulated.makespan_s / run.result.trace.makespan_s - 1; }
};

Validation validated(const RunRequest& request, PassRun run) {
  Validation v;
  const Schedule& s = run.schedule;
  const Network network(request.request.cluster, request.placement);
  v.simulated = simulate_schedule(s, network, run.times);
  v.least_s = v.most_s = v.simulated.makespan_s;
  for (double end_s :
       end_makespans_s(s, request.placement, request.request.ends, v.simulated.makespan_s, run.estimate_s)) {
    v.least_s = std::min(v.least_s, end_s);
    v.most_s = std::max(v.most_s, end_s);
  }
  v.difference = difference(s, run.result.trace, v.simulated);
  v.run = std::move(run);
  return v;
}

std::string percent_of(double error) { return fmt::format("{:+.1f} %", 100 * error); }

/// Steps of the path, the largest difference first.
std::vector<PathStep> by_difference(std::vector<PathStep> path) {
  std::ranges::stable_sort(path, std::greater(),
                           [](const PathStep& p) { return std::abs(p.simulated_s - p.measured_s); });
  return path;
}

std::string text_of(const Validation& v) {
  constexpr std::size_t kSteps = 5;
  const Schedule& s = v.run.schedule;
  const auto [least, most] = std::ranges::minmax(v.run.result.makespans_s);
  const std::string range =
      v.least_s < v.most_s ? fmt::format("{} to {} by the cluster's figures", time_text(v.least_s), time_text(v.most_s))
                           : "the cluster's figures have no spread";
  std::string text = fmt::format("{}: measured {} ({} to {}), simulated {} ({}): {}\n\n", name_of(s.problem.pass),
                                 time_text(v.run.result.trace.makespan_s), time_text(least), time_text(most),
                                 time_text(v.simulated.makespan_s), range, percent_of(v.error()));
  std::vector<std::vector<std::string>> cells{{"ops", "number", "measured", "simulated", "error", "median of each"}};
  for (const KindDifference& k : v.difference.kinds)
    cells.push_back({std::string(k.kind), std::to_string(k.ops), time_text(k.measured_s), time_text(k.simulated_s),
                     k.measured_s > 0 ? percent_of(k.simulated_s / k.measured_s - 1) : "-",
                     percent_text(k.median_error)});
  text += aligned(cells, 1) + "\ncritical path of the measured run, the steps that differ most:\n";
  cells = {{"step", "op", "measured", "simulated", "difference"}};
  const std::vector<PathStep> steps = by_difference(v.difference.path);
  double rest_s = 0;
  for (const PathStep& p : steps) rest_s += p.simulated_s - p.measured_s;
  const double later_s = v.simulated.makespan_s - v.run.result.trace.makespan_s - rest_s;
  for (std::size_t i = 0; i < std::min(kSteps, steps.size()); ++i) {
    const PathStep& p = steps[i];
    const Rank rank = s.rank_of(p.op);
    rest_s -= p.simulated_s - p.measured_s;
    cells.push_back({fmt::format("rank {} {}", rank, name_of(s.ops[p.op])), std::to_string(p.op - s.ops_begin(rank)),
                     time_text(p.measured_s), time_text(p.simulated_s),
                     fmt::format("{:+.3f} ms", 1e3 * (p.simulated_s - p.measured_s))});
  }
  cells.push_back({fmt::format("the other {}", steps.size() - std::min(kSteps, steps.size())), "", "", "",
                   fmt::format("{:+.3f} ms", 1e3 * rest_s)});
  cells.push_back({"after the path, simulated", "", "", "", fmt::format("{:+.3f} ms", 1e3 * later_s)});
  return text + aligned(cells, 1);
}

nlohmann::ordered_json json_of(const Validation& v) {
  nlohmann::ordered_json json{{"measured_s", v.run.result.trace.makespan_s},
                              {"measured_all_s", v.run.result.makespans_s},
                              {"simulated_s", v.simulated.makespan_s},
                              {"simulated_range_s", {v.least_s, v.most_s}},
                              {"error", v.error()}};
  for (const KindDifference& k : v.difference.kinds)
    json["kinds"][std::string(k.kind)] = {
        {"ops", k.ops}, {"measured_s", k.measured_s}, {"simulated_s", k.simulated_s}, {"median_error", k.median_error}};
  for (const PathStep& p : v.difference.path)
    json["path"].push_back({{"op", p.op},
                            {"rank", v.run.schedule.rank_of(p.op)},
                            {"kind", name_of(v.run.schedule.ops[p.op])},
                            {"measured_s", p.measured_s},
                            {"simulated_s", p.simulated_s}});
  for (const gpu::Deviation& d : v.run.deviations) json["deviation"][d.tensor] = d.relative;
  return json;
}

void write_traces(const RunRequest& request, const Validation& v) {
  const NamedTrace traces[] = {{"measured", v.run.result.trace}, {"simulated", v.simulated}};
  write_file(request.trace, [&](std::ostream& out) {
    write_chrome_trace(out, v.run.schedule, Network(request.request.cluster, request.placement), traces,
                       all_ranks(request.problem().ranks));
  });
}

}  // namespace

void report_validation(Measurement measured) {
  const RunRequest& request = measured.request;
  std::vector<Validation> passes;
  for (PassRun& run : measured.passes) passes.push_back(validated(request, std::move(run)));
  if (!request.trace.empty()) write_traces(request, passes.front());
  if (!request.json.empty())
    write_file(request.json, [&](std::ostream& out) {
      nlohmann::ordered_json json{{"device", request.device}, {"cluster", request.request.cluster.name}};
      for (const Validation& v : passes) json[std::string(name_of(v.run.schedule.problem.pass))] = json_of(v);
      out << json.dump(2) << '\n';
    });
  if (request.json == "-" || request.trace == "-") return;
  std::cout << fmt::format("measured on {}, simulated on {}\n", request.device, request.request.cluster.name);
  for (const Validation& v : passes) std::cout << '\n' << text_of(v) << deviations_text(v.run) << '\n';
}

}  // namespace meshattn
