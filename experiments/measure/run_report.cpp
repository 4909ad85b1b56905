#include "experiments/measure/run_report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "core/base/format.h"
#include "core/base/median.h"
#include "core/report/json.h"
#include "experiments/cli/text/summary_text.h"
#include "experiments/cli/text/table.h"

namespace meshattn {

using gpu::Deviation;
using gpu::RunOptions;
using gpu::Transport;

std::string deviations_text(const PassRun& run) {
  if (run.deviations.empty()) return "deviation from dense attention: not checked";
  std::string text = "deviation from dense attention:";
  for (std::size_t i = 0; i < run.deviations.size(); ++i) {
    const Deviation& d = run.deviations[i];
    text += fmt::format("{} {} {:.2e} (on one rank {:.2e}){}", i > 0 ? "," : "", d.tensor, d.relative,
                        run.dense_deviations[i].relative, is_accurate(d, run) ? "" : " TOO MUCH");
  }
  return text;
}

void print(std::ostream& out, const Measurement& measured) {
  const RunRequest& request = measured.request;
  const RunOptions& o = request.options;
  const int processes = measured.processes;
  out << headline(request.request);
  if (!request.schedule)
    out << request.plan->phases.front().configuration.algorithm->name << ' ' << forms_text(*request.plan)
        << placed_text(request.request, request.placement.name) << '\n';
  out << '\n'
      << fmt::format("on {}: {} rank{}, {} process{}, {}\n", request.device, request.problem().ranks,
                     request.problem().ranks > 1 ? "s" : "", processes, processes > 1 ? "es" : "",
                     o.transport == Transport::kCopies ? fmt::format("copies, {} to a GPU", o.ranks_per_device)
                                                       : fmt::format("NCCL with {} CTAs", o.max_ctas));
  for (const PassRun& pass : measured.passes) {
    const auto [least, most] = std::ranges::minmax(pass.result.makespans_s);
    const Summary& s = pass.summary;
    out << '\n'
        << name_of(pass.schedule.problem.pass) << '\n'
        << aligned(
               {{"measured", time_text(pass.result.trace.makespan_s),
                 fmt::format("median of {}: {} to {}{}", o.repeats, time_text(least), time_text(most),
                             pass.result.clock_uncertainty_s > 0
                                 ? ", clocks within " + time_text(pass.result.clock_uncertainty_s)
                                 : "")},
                {"issued", time_text(median(pass.result.issue_s)), "by the host, from the start"},
                {"estimated", time_text(pass.estimate_s), "on " + request.request.cluster.name},
                {"compute", time_text(s.compute_s),
                 fmt::format("on the busiest GPU, {:.3f} times the mean", s.compute_balance)},
                {"waiting", percent_text(s.waiting), "of all compute time: " + waits_text(s)},
                {"received", bytes_text(s.volume.bytes_received_avg), "a GPU on average"},
                {"memory", bytes_text(static_cast<double>(s.peak_bytes)), "of attention values on the fullest GPU"}},
               1)
        << deviations_text(pass) << '\n';
  }
}

void write_json(std::ostream& out, const Measurement& measured) {
  const RunRequest& request = measured.request;
  Result result{"schedule", "as given"};
  if (request.plan) result = result_of(*request.plan);
  result.partition = request.problem().partition;
  for (const PassRun& done : measured.passes) result.summaries.push_back(done.summary);
  std::ostringstream text;
  meshattn::write_json(text, request.request, result);
  auto json = nlohmann::ordered_json::parse(text.str());
  nlohmann::ordered_json run{{"device", request.device},
                             {"processes", measured.processes},
                             {"ranks_per_gpu", request.options.ranks_per_device},
                             {"transport", request.options.transport == Transport::kCopies ? "copies" : "nccl"}};
  for (const PassRun& done : measured.passes) {
    nlohmann::ordered_json pass{{"makespans_s", done.result.makespans_s},
                                {"issue_s", median(done.result.issue_s)},
                                {"estimate_s", done.estimate_s},
                                {"clock_uncertainty_s", done.result.clock_uncertainty_s}};
    for (std::size_t i = 0; i < done.deviations.size(); ++i) {
      pass["deviation"][done.deviations[i].tensor] = done.deviations[i].relative;
      pass["deviation_of_dense"][done.deviations[i].tensor] = done.dense_deviations[i].relative;
    }
    run[std::string(name_of(done.schedule.problem.pass))] = std::move(pass);
  }
  json["run"] = std::move(run);
  out << json.dump(2) << '\n';
}

}  // namespace meshattn
