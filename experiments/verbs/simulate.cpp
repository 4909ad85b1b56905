#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/output_file.h"
#include "core/report/chrome_trace.h"
#include "core/report/json.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/summary_text.h"
#include "experiments/cli/units.h"
#include "experiments/cli/verb.h"
#include "experiments/simulator.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// Where results go besides standard output.
struct Files {
  std::string json;
  std::string trace;
  std::vector<Rank> trace_ranks;
};

Files read_files(const po::variables_map& given, const Request& request) {
  Files files{optional(given, "json"), optional(given, "trace"), {}};
  const int ranks = request.problem.ranks;
  if (files.trace.empty() && given.count("trace-ranks")) throw InvalidInput("--trace-ranks needs --trace FILE");
  if (!files.trace.empty() && request.passes.size() > 1)
    throw InvalidInput("--trace shows one pass: give --pass forward or --pass backward");
  files.trace_ranks = all_ranks(ranks);
  if (given.count("trace-ranks"))
    files.trace_ranks = parse_ranks(given["trace-ranks"].as<std::string>(), "--trace-ranks", ranks);
  check_outputs({{"--json", files.json}, {"--trace", files.trace}});
  return files;
}

void print(const Request& request, const Result& result) {
  std::cout << headline(request) << result.algorithm << ' ' << result.choice
            << placed_text(request, result.plan.placement.name) << '\n';
  const std::vector<Summary>& summaries = result.summaries;
  for (std::size_t i = 0; summaries.size() > 1 && i < summaries.size(); ++i)
    std::cout << '\n' << name_of(request.passes[i]) << '\n' << text_of(summaries[i]);
  std::cout << (summaries.size() > 1 ? "\nboth\n" : "\n") << text_of(result.total());
}

int simulate(const po::variables_map& given) {
  require_simulator();
  Request request = read_request("simulate", given);
  require_algorithm(request);
  const Files files = read_files(given, request);
  const Result result = evaluate(request);
  show_choices(result.plan, request);
  if (!files.trace.empty())
    write_file(files.trace, [&](std::ostream& out) {
      write_chrome_trace(out, result.plan.phases.front().schedule, Network(request.cluster, result.plan.placement),
                         result.traces.front(), files.trace_ranks);
    });
  if (!files.json.empty()) write_file(files.json, [&](std::ostream& out) { write_json(out, request, result); });
  if (files.json != "-" && files.trace != "-") print(request, result);
  return 0;
}

}  // namespace

Verb simulate_verb() {
  Verb verb{"simulate", "one schedule on one cluster: how long, what bounds it, which links, where it waits",
            "  meshattn simulate --cluster dgx-h100 --gpus 64 --model llama-3.1-8b --seq 256K --mask causal \\\n"
            "      --algorithm mesh --tile 8x8 --trace trace.json     (open it in https://ui.perfetto.dev)\n",
            po::options_description(), simulate};
  add_request_options(verb.options);
  po::options_description output = option_group("output");
  output.add_options()                                                                                        //
      ("json", text_value("FILE"), "results as JSON; - is standard output")                                   //
      ("trace", text_value("FILE"), "what ran when, for Perfetto or chrome://tracing; - is standard output")  //
      ("trace-ranks", text_value("LIST"), "only these ranks in the trace: 0-7,64");
  add_output_options(verb.options, output);
  return verb;
}

}  // namespace meshattn
