#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/output_file.h"
#include "core/planner/placement_search.h"
#include "core/report/json.h"
#include "core/report/plan_facts.h"
#include "core/schedule/passes/verify/findings.h"
#include "core/schedule/text.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/units.h"
#include "experiments/cli/verb.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

std::string bytes_of(std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

/// What a rank holds of each kind: "row in 33.5 MB, …".
std::string memory_text(const PlanFacts& f) {
  std::string text = fmt::format("of it {} held all the time", bytes_of(f.bytes.resident));
  const std::pair<const char*, std::uint64_t> kinds[] = {
      {"a received row", f.bytes.row_in}, {"a received column", f.bytes.column_in},
      {"a row's sum", f.bytes.row_sum},   {"a column's sum", f.bytes.column_sum},
      {"a partial row", f.bytes.row_out}, {"a partial column", f.bytes.column_out}};
  for (const auto& [name, bytes] : kinds)
    if (bytes > 0) text += fmt::format(", {} {}", name, bytes_of(bytes));
  return text;
}

std::string over(double seconds, double bound) {
  return bound > 0 ? fmt::format("{} over the lower bound", percent_text(seconds / bound - 1)) : std::string();
}

std::string one_lane_text(const OneLaneTimes& t) {
  return aligned({{"one lane", "what the orders take if every hop and block has one price:"}}, 1) +
         aligned({{"  naive", time_text(t.naive), over(t.naive, t.lower_bound)},
                  {"  greedy", time_text(t.greedy), over(t.greedy, t.lower_bound)},
                  {"  optimal", time_text(t.optimal), over(t.optimal, t.lower_bound)},
                  {"  lower bound", time_text(t.lower_bound), "blocks may be interrupted"}},
                 1);
}

std::string facts_text(const PlanFacts& f) {
  std::string text = aligned(
      {{"steps", fmt::format("at most {} exchange{} and {} kernel{} of attention on a GPU", f.exchanges_max,
                             f.exchanges_max == 1 ? "" : "s", f.attends_max, f.attends_max == 1 ? "" : "s")},
       {"size", fmt::format("{} ops, {} transfers, {} values over all GPUs", count_text(f.ops), count_text(f.transfers),
                            count_text(f.values))},
       {"received",
        fmt::format("{} a GPU on average ({:.2f} chunks), at most {}", bytes_text(f.volume.bytes_received_avg),
                    f.volume.chunks_received_avg, bytes_of(f.volume.bytes_received_max))},
       {"  between nodes", fmt::format("{} a GPU on average ({:.2f} chunks), at most {} ({:.2f} chunks)",
                                       bytes_text(f.volume.inter_node_bytes_avg), f.volume.inter_node_chunks_avg,
                                       bytes_of(f.volume.inter_node_bytes_max), f.volume.inter_node_chunks_max)},
       {"memory", fmt::format("{} on the fullest GPU; {}", bytes_of(f.peak_bytes), memory_text(f))}},
      1);
  if (f.one_lane) text += one_lane_text(*f.one_lane);
  if (!f.findings.empty()) {
    text += fmt::format("not proved: {} findings\n", f.findings.size());
    for (const Finding& finding : f.findings) text += "  " + finding_text(finding) + '\n';
    return text;
  }
  return text +
         "proved: every query attends each key that the mask shows it, once, merged into its owner's result; no "
         "deadlock; no two values in the same bytes at once\n";
}

int plan(const po::variables_map& given) {
  Request request = read_request("plan", given);
  require_algorithm(request);
  const std::string text = optional(given, "text"), json = optional(given, "json");
  if (!text.empty() && request.passes.size() > 1)
    throw InvalidInput("--text writes one schedule: give --pass forward or --pass backward");
  check_outputs({{"--text", text}, {"--json", json}});
  const Plan plan = make_plan(request);
  show_choices(plan, request);
  const Network network(request.cluster, plan.placement);
  std::vector<PlanFacts> facts;
  bool proved = true;
  for (const Phase& phase : plan.phases) {
    facts.push_back(facts_of(phase, network, CostModel(request.cluster.gpu, phase.configuration.problem)));
    proved = proved && facts.back().findings.empty();
    // A schedule that is not proved is written too: the findings speak of it.
    if (!text.empty()) write_file(text, [&](std::ostream& out) { write_text(phase.schedule, out); });
  }
  if (!json.empty()) write_file(json, [&](std::ostream& out) { write_json(out, request, plan, facts); });
  if (text != "-" && json != "-") {
    std::cout << headline(request) << plan.phases.front().configuration.algorithm->name << ' ' << forms_text(plan)
              << placed_text(request, plan.placement.name) << '\n';
    for (std::size_t i = 0; i < facts.size(); ++i)
      std::cout << '\n' << name_of(request.passes[i]) << '\n' << facts_text(facts[i]);
  }
  if (!proved) throw InvalidSchedule("the schedule is not proved");
  return 0;
}

}  // namespace

Verb plan_verb() {
  Verb verb{"plan", "what a schedule is: its steps, traffic, memory, and the proof that it is right",
            "  meshattn plan --cluster dgx-h100 --gpus 16 --model llama-3.1-8b --seq 64K --mask causal \\\n"
            "      --algorithm mesh --tile 4x4 --text schedule.txt\n",
            po::options_description(), plan};
  add_request_options(verb.options);
  po::options_description output = option_group("output");
  output.add_options()                                             //
      ("text", text_value("FILE"), "the schedule, one op a line")  //
      ("json", text_value("FILE"), "the facts as JSON; - is standard output");
  add_output_options(verb.options, output);
  return verb;
}

}  // namespace meshattn
