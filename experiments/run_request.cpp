#include "experiments/run_request.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/keyed_file.h"
#include "core/schedule_text.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;
using gpu::Kernels;
using gpu::RunOptions;
using gpu::Transport;

int count_of(const po::variables_map& given, const std::string& option, int usual, int least = 1) {
  return given.count(option) ? parse_count(given[option].as<std::string>(), "--" + option, least) : usual;
}

template <typename T>
T one_of(const po::variables_map& given, const std::string& option, T usual,
         std::initializer_list<std::pair<const char*, T>> possible) {
  if (!given.count(option)) return usual;
  std::string names;
  for (const auto& [name, value] : possible) {
    if (given[option].as<std::string>() == name) return value;
    names += names.empty() ? name : fmt::format(", {}", name);
  }
  throw InvalidInput(fmt::format("--{} {}: possible are {}", option, given[option].as<std::string>(), names));
}

RunOptions read_options(const po::variables_map& given) {
  RunOptions options;
  options.backend = read_backend(given);
  options.ranks_per_device = count_of(given, "ranks-per-gpu", 1);
  options.transport =
      one_of(given, "transport", options.transport, {{"copies", Transport::kCopies}, {"nccl", Transport::kNccl}});
  options.kernels =
      one_of(given, "kernels", Kernels::kFast,
             {{"fast", Kernels::kFast}, {"repeatable", Kernels::kRepeatable}, {"reference", Kernels::kReference}});
  options.repeats = count_of(given, "repeats", options.repeats);
  options.warm_ups = count_of(given, "warm-ups", options.warm_ups, 0);
  options.timeout_s = parse_number(optional(given, "timeout", "60"), "--timeout");
  if (options.timeout_s <= 0 || options.timeout_s > 1e6)
    throw InvalidInput("--timeout must be more than 0 seconds and at most 1000000");
  options.most_ctas = count_of(given, "max-ctas", options.most_ctas);
  return options;
}

/// The request of a schedule that is read: its problem, and the cluster that it is compared with.
Request request_of(const Schedule& schedule, const po::variables_map& given) {
  po::options_description planned, cluster;
  add_request_options(planned);
  add_cluster_options(cluster);
  for (const auto& option : planned.options())
    if (given.count(option->long_name()) && cluster.find_nothrow(option->long_name(), false) == nullptr)
      throw InvalidInput(fmt::format("--{} is for planning a schedule; --schedule gives one", option->long_name()));
  Request request;
  request.question.version = MESHATTN_VERSION;
  request.question.command = "run";
  request.question.problem = schedule.problem;
  request.question.passes = {schedule.problem.pass};
  request.cluster = read_cluster_of(given);
  request.question.cluster = request.cluster.name;
  request.algorithm = "schedule";
  return request;
}

Schedule read_schedule(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw InvalidInput(fmt::format("--schedule: cannot read {}", path));
  return read_text(text.str(), path);
}

}  // namespace

void add_run_options(po::options_description& options) {
  add_request_options(options);
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  options.add_options()                                                                                 //
      ("schedule", text("FILE"), "run this schedule (plan --text writes one) instead of planning one")  //
      ("device", text("NAME"),
       "cuda (usual), or cpu: threads of this machine instead of GPUs, to try the way and not to measure speed")  //
      ("ranks-per-gpu", text("N"), "ranks that share a GPU (1), which needs --transport copies")                  //
      ("transport", text("NAME"),
       "copies (usual: within one process, between its GPUs or on one) or nccl (a GPU for each rank; usual for several "
       "processes)")  //
      ("kernels", text("NAME"),
       "fast (usual: cuDNN where it can), repeatable (the same, every run to the bit), reference (slow and simple)")  //
      ("repeats", text("N"), "timed runs (5)")                                                                        //
      ("warm-ups", text("N"), "runs before them (2)")                                                                 //
      ("timeout", text("SECONDS"), "give up, and say at which op every rank is (60)")                                 //
      ("max-ctas", text("N"), "thread blocks of an NCCL kernel, which are lost to attention (4)")                     //
      ("seed", text("N"), "of the random inputs (1)")                                                                 //
      ("check", text("YES|NO"), "compare with dense attention (yes); no: O and log-sum-exp go backward made up")      //
      ("json", text("FILE"), "results as JSON; - is standard output")                                                 //
      ("trace", text("FILE"), "what ran when, for Perfetto or chrome://tracing; - is standard output");
}

gpu::Backend read_backend(const po::variables_map& given) {
  return one_of(given, "device", gpu::Backend::kCuda, {{"cuda", gpu::Backend::kCuda}, {"cpu", gpu::Backend::kCpu}});
}

RunRequest read_run_request(const po::variables_map& given) {
  RunRequest asked;
  asked.options = read_options(given);
  asked.seed = static_cast<std::uint64_t>(count_of(given, "seed", 1));
  asked.check = one_of(given, "check", true, {{"yes", true}, {"no", false}});
  asked.json = optional(given, "json");
  asked.trace = optional(given, "trace");
  if (given.count("schedule")) {
    asked.schedule = read_schedule(given["schedule"].as<std::string>());
    asked.request = request_of(*asked.schedule, given);
    asked.placement = linear(asked.problem().ranks);
  } else {
    asked.request = read_request("run", given);
    auto [placement, passes] = asked.request.arranged(read_methods(asked.request), asked.request.question.placement);
    asked.placement = std::move(placement);
    asked.passes = std::move(passes);
    asked.options.gpu_of = asked.placement.gpu;
    asked.request.question.partition_open = false;
    asked.request.question.problem.partition = asked.passes.front().problem.partition;
  }
  if (!asked.trace.empty() && asked.request.question.passes.size() > 1)
    throw InvalidInput("--trace shows one pass: give --pass forward or --pass backward");
  check_outputs({{"--json", asked.json}, {"--trace", asked.trace}});
  return asked;
}

}  // namespace meshattn
