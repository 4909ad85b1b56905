#include "experiments/measure/run_report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "core/base/format.h"
#include "core/base/median.h"
#include "experiments/cli/text/summary_text.h"
#include "experiments/cli/text/table.h"

namespace meshattn {

namespace {

using gpu::Deviation;
using gpu::RunOptions;
using gpu::Transport;

}  // namespace

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

void print(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes, const std::string& device,
           int processes) {
  const RunOptions& o = asked.options;
  out << headline(asked.request);
  if (!asked.schedule)
    out << asked.passes.front().method.algorithm << ' ' << text_of(forms_of(asked.passes))
        << placed_text(asked.request, asked.placement.name) << '\n';
  out << '\n'
      << fmt::format("on {}: {} rank{}, {} process{}, {}\n", device, asked.problem().ranks,
                     asked.problem().ranks > 1 ? "s" : "", processes, processes > 1 ? "es" : "",
                     o.transport == Transport::kCopies ? fmt::format("copies, {} to a GPU", o.ranks_per_device)
                                                       : fmt::format("NCCL with {} CTAs", o.max_ctas));
  for (const PassRun& pass : passes) {
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
                {"estimated", time_text(pass.estimate_s), "on " + asked.request.cluster.name},
                {"compute", time_text(s.compute_s),
                 fmt::format("on the busiest GPU, {:.3f} times the mean", s.compute_balance)},
                {"waiting", percent_text(s.waiting), "of all compute time: " + waits_text(s)},
                {"received", bytes_text(s.volume.bytes_received_avg), "a GPU on average"},
                {"memory", bytes_text(static_cast<double>(s.peak_bytes)), "of attention values on the fullest GPU"}},
               1)
        << deviations_text(pass) << '\n';
  }
}

void write_json(std::ostream& out, const RunRequest& asked, const std::vector<PassRun>& passes,
                const std::string& device, int processes) {
  Outcome outcome{asked.schedule ? "schedule" : std::string(asked.passes.front().method.algorithm),
                  asked.schedule ? "as given" : text_of(forms_of(asked.passes)),
                  asked.problem().partition,
                  asked.schedule ? std::vector<MeshForm>{} : forms_of(asked.passes),
                  {},
                  {}};
  for (const PassRun& done : passes) outcome.passes.push_back(done.summary);
  std::ostringstream text;
  meshattn::write_json(text, asked.request.question, outcome);
  auto json = nlohmann::ordered_json::parse(text.str());
  nlohmann::ordered_json run{{"device", device},
                             {"processes", processes},
                             {"ranks_per_gpu", asked.options.ranks_per_device},
                             {"transport", asked.options.transport == Transport::kCopies ? "copies" : "nccl"}};
  for (const PassRun& done : passes) {
    nlohmann::ordered_json pass{{"makespans_s", done.result.makespans_s},
                                {"issue_s", median(done.result.issue_s)},
                                {"estimate_s", done.estimate_s},
                                {"clocks_within_s", done.result.clock_uncertainty_s}};
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
