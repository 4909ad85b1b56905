#include "experiments/cli/options/run_options.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <iterator>
#include <string>

#include "core/base/error.h"
#include "core/base/input_file.h"
#include "core/planner/placement_search.h"
#include "core/schedule/text.h"
#include "experiments/cli/options/device_options.h"
#include "experiments/cli/options/option_group.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// The request of a schedule from a file: its problem, and the cluster that it is compared with.
Request request_of(const Schedule& schedule, const po::variables_map& given) {
  po::options_description planned, cluster;
  add_request_options(planned);
  add_cluster_options(cluster);
  for (const auto& option : planned.options())
    if (given.count(option->long_name()) && cluster.find_nothrow(option->long_name(), false) == nullptr)
      throw InvalidInput(fmt::format("--{} is for planning a schedule; --schedule gives one", option->long_name()));
  Request request;
  request.origin = {.version = MESHATTN_VERSION, .command = "run", .is_planned = false};
  request.problem = schedule.problem;
  request.passes = {schedule.problem.pass};
  read_cluster_into(given, request);
  return request;
}

void plan(RunRequest& run) {
  run.plan = with_flags([&] { return make_plan(run.request); });
  run.placement = run.plan->placement;
  run.options.gpu_of = run.placement.gpu;
  show_choices(*run.plan, run.request);
}

Schedule read_schedule(const std::string& path) {
  std::ifstream in = open_file(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return read_text(text, path);
}

}  // namespace

void add_run_options(po::options_description& options) {
  add_request_options(options);
  add_device_options(options);
  po::options_description run = option_group("run"), output = option_group("output");
  run.add_options()                                                                                    //
      ("schedule", text_value("FILE"), "run this schedule (plan --text writes one), do not plan one")  //
      ("seed", text_value("N"), "of the random inputs (1)")                                            //
      ("check", text_value("YES|NO"), "compare with dense attention (yes)");
  output.add_options()                                                       //
      ("json", text_value("FILE"), "results as JSON; - is standard output")  //
      ("trace", text_value("FILE"), "what ran when, for Perfetto or chrome://tracing; - is standard output");
  options.add(run);
  add_output_options(options, output);
}

RunRequest read_run_request(const po::variables_map& given, const gpu::Job& job) {
  RunRequest run;
  run.device = gpu::devices(read_backend(given)).description;
  run.options = read_device_options(given);
  run.seed = static_cast<std::uint64_t>(count_of(given, "seed", 1));
  run.check = one_of(given, "check", true, EnumNames<bool, 2>{{{true, "yes"}, {false, "no"}}});
  run.json = optional(given, "json");
  run.trace = optional(given, "trace");
  if (given.count("schedule")) {
    run.schedule = read_schedule(given["schedule"].as<std::string>());
    run.request = request_of(*run.schedule, given);
    run.placement = linear_placement(run.problem().ranks);
  } else {
    run.request = read_request("run", given);
    require_algorithm(run.request);
  }
  if (!run.trace.empty() && run.request.passes.size() > 1)
    throw InvalidInput("--trace shows one pass: give --pass forward or --pass backward");
  if (job.rank() == 0) check_outputs({{"--json", run.json}, {"--trace", run.trace}});
  if (!run.schedule) plan(run);
  choose_transport(given, job, run.options);
  return run;
}

}  // namespace meshattn
