#include "experiments/cli/request.h"

#include <spdlog/fmt/fmt.h>

#include <utility>

#include "core/algorithms/catalogue.h"
#include "core/base/enum_names.h"
#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/numbers.h"
#include "core/base/output_file.h"
#include "core/cluster/cluster_file.h"
#include "core/cluster/uncertainty.h"
#include "core/problem/mask_text.h"
#include "core/report/json.h"
#include "experiments/cli/data_folder.h"
#include "experiments/cli/models.h"
#include "experiments/cli/units.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;
using Values = std::vector<std::string>;

std::vector<Pass> parse_passes(const std::string& given) {
  if (given == "both") return {Pass::kForward, Pass::kBackward};
  if (given != name_of(Pass::kForward) && given != name_of(Pass::kBackward))
    throw InvalidInput(fmt::format("unknown pass '{}': possible are forward, backward, both", given));
  return {parse_pass(given)};
}

/// Heads of the model, or given in numbers; a number overrides the model's.
AttentionShape read_shape(const po::variables_map& given, const std::optional<Model>& model) {
  AttentionShape shape;
  if (model) {
    shape.heads = model->heads;
    shape.kv_heads = model->kv_heads;
    shape.head_dim = model->head_dim;
  }
  if (!model && (!given.count("heads") || !given.count("head-dim")))
    throw InvalidInput("--model NAME is missing, or --heads N and --head-dim N instead of it");
  shape.heads = count_of(given, "heads", shape.heads);
  shape.kv_heads = count_of(given, "kv-heads", model ? shape.kv_heads : shape.heads);
  shape.head_dim = count_of(given, "head-dim", shape.head_dim);
  shape.batch = count_of(given, "batch", 1);
  shape.seq_q = shape.seq_kv = parse_tokens(required(given, "seq", "64K"), "--seq");
  if (given.count("prefix")) shape.seq_kv += parse_tokens(given["prefix"].as<std::string>(), "--prefix");
  shape.dtype = parse_dtype(optional(given, "dtype", "bf16"));
  return shape;
}

/// What `read` reads of an option; its errors begin with the option.
template <typename Read>
auto reading(const std::string& option, Read&& read) {
  try {
    return read();
  } catch (const InvalidInput& e) {
    throw InvalidInput(fmt::format("--{}: {}", option, e.what()));
  }
}

Problem read_problem(const po::variables_map& given, Pass pass) {
  std::optional<Model> model;
  if (given.count("model")) model = read_model(given["model"].as<std::string>(), models_folder());
  Problem problem;
  problem.shape = read_shape(given, model);
  if (model) problem.mask = model->mask;
  if (given.count("mask"))
    problem.mask = reading("mask", [&] { return parse_mask(given["mask"].as<std::string>(), problem.shape.seq_q); });
  const std::string usual(name_of(usual_partitions(problem.mask, optional(given, "algorithm")).front()));
  problem.partition = reading("partition", [&] { return parse_partition(optional(given, "partition", usual)); });
  problem.pass = pass;
  problem.ranks = parse_count(required(given, "gpus", "256"), "--gpus");
  check(problem);
  return problem;
}

constexpr EnumNames<Travel, 2> kTravels{{{Travel::kRing, "ring"}, {Travel::kDirect, "direct"}}};

void read_options(const po::variables_map& given, Request& request) {
  const auto text = [&](const char* option) { return given[option].as<std::string>(); };
  Options& options = request.options;
  if (given.count("tile")) options.tile = parse_tile(text("tile"), "--tile");
  if (given.count("ulysses")) options.ulysses = parse_count(text("ulysses"), "--ulysses");
  if (given.count("inner")) options.inner = parse_count(text("inner"), "--inner");
  if (given.count("slices"))
    options.slices = text("slices") == "auto" ? 0 : parse_count(text("slices"), "--slices, unless auto,");
  if (given.count("exchange")) options.exchange = kTravels.parse("--exchange", text("exchange"));
  if (!given.count("tile-backward")) return;
  options.tile_backward = parse_tile(text("tile-backward"), "--tile-backward");
  if (request.passes.back() != Pass::kBackward)
    throw InvalidInput("--tile-backward is given without a backward pass: give --pass both or backward");
  if (request.passes.size() == 1 && options.tile)
    throw InvalidInput("--tile and --tile-backward are two tiles for one pass: give one, or --pass both");
  if (request.passes.size() == 1) options.tile = std::exchange(options.tile_backward, std::nullopt);
}

}  // namespace

std::string required(const po::variables_map& given, const std::string& option, const std::string& example) {
  if (!given.count(option))
    throw InvalidInput(fmt::format("--{} is missing, such as --{} {}", option, option, example));
  return given[option].as<std::string>();
}

std::string optional(const po::variables_map& given, const std::string& option, const std::string& otherwise) {
  return given.count(option) ? given[option].as<std::string>() : otherwise;
}

int count_of(const po::variables_map& given, const std::string& option, int usual, int least) {
  return given.count(option) ? parse_count(given[option].as<std::string>(), "--" + option, least) : usual;
}

std::filesystem::path topologies_of(const po::variables_map& given) {
  return optional(given, "topologies", topologies_folder().string());
}

ClusterFiles read_cluster_files(const po::variables_map& given) {
  const auto settings = given.count("set") ? given["set"].as<Values>() : Values();
  return {required(given, "cluster", "dgx-h100"), topologies_of(given), settings, optional(given, "framework")};
}

void read_cluster_into(const po::variables_map& given, Request& request) {
  const ClusterFiles files = read_cluster_files(given);
  request.cluster = files.cluster();
  request.ends = uncertainty_ends(files);
  request.origin.framework = optional(given, "framework");
}

Request read_request(const std::string& verb, const po::variables_map& given) {
  Request request;
  request.origin = {MESHATTN_VERSION, verb, optional(given, "model")};
  request.passes = parse_passes(optional(given, "pass", "forward"));
  request.problem = read_problem(given, request.passes.front());
  if (given.count("order")) request.order = parse_order(given["order"].as<std::string>());
  request.wire = parse_dtype(optional(given, "wire-dtype", "fp32"));
  if (request.wire == Dtype::kFp16) throw InvalidInput("--wire-dtype fp16: partial results travel in fp32 or bf16");
  request.placement = parse_placement(optional(given, "placement", "linear"), "--placement");
  read_cluster_into(given, request);
  request.algorithm = optional(given, "algorithm");
  if (!request.algorithm.empty()) (void)algorithm_of(request.algorithm);  // refused even if nothing is planned
  request.choose_partition = given.count("partition") == 0;
  read_options(given, request);
  if (given.count("memory-limit"))
    request.memory_limit = parse_bytes(given["memory-limit"].as<std::string>(), "--memory-limit");
  else if (request.cluster.gpu.memory_bytes > 0)
    request.memory_limit = static_cast<std::uint64_t>(request.cluster.gpu.memory_bytes);
  return request;
}

void check_outputs(const std::vector<std::pair<std::string, std::string>>& outputs) {
  const auto resolved = [](const std::string& path) {
    return path == "-" ? std::filesystem::path("-")
                       : std::filesystem::weakly_canonical(std::filesystem::absolute(path));
  };
  for (auto it = outputs.begin(); it != outputs.end(); ++it) {
    if (it->second.empty()) continue;
    check_writable(it->second);
    for (auto other = outputs.begin(); other != it; ++other)
      if (!other->second.empty() && resolved(other->second) == resolved(it->second))
        throw InvalidInput(fmt::format("{} and {} cannot both write to {}", other->first, it->first,
                                       it->second == "-" ? "standard output" : it->second));
  }
}

void require_algorithm(Request& request) {
  if (request.algorithm.empty() && !request.options.tile)
    throw InvalidInput("--algorithm is missing: ring, or mesh with --tile AxB, … (meshattn compare tries them all)");
  if (request.algorithm.empty()) request.algorithm = "mesh";
}

void show_choices(const Plan& plan, Request& request) {
  request.problem.partition = plan.partition();
  request.choose_partition = false;
}

std::string headline(const Request& request) {
  const Problem& p = request.problem;
  const AttentionShape& s = p.shape;
  const Origin& origin = request.origin;
  const auto passes =
      request.passes.size() > 1 ? std::string_view("forward and backward") : name_of(request.passes.front());
  const FigureCount figures = count_figures(request.cluster);
  return fmt::format(
      "attention {}{}: {} tokens{}{}, {} heads ({} of keys) of {}, {}, {} mask, {}\n"
      "on {} GPUs of {}{} ({} of {} figures assumed): {}, placement {}\n",
      passes, origin.model.empty() ? "" : " of " + origin.model, count_text(static_cast<std::uint64_t>(s.seq_q)),
      s.seq_kv > s.seq_q ? fmt::format(" after {} cached", count_text(static_cast<std::uint64_t>(s.seq_kv - s.seq_q)))
                         : "",
      s.batch > 1 ? fmt::format(" x {} sequences", s.batch) : "", s.heads, s.kv_heads, s.head_dim, name_of(s.dtype),
      name_of(p.mask), tries_partitions(request) ? "fastest partition" : name_of(p.partition), p.ranks,
      request.cluster.name, origin.framework.empty() ? "" : " with " + origin.framework, figures.assumed, figures.all,
      origin.is_planned ? fmt::format("{} order, partial results in {}",
                                      request.order ? name_of(*request.order) : "fastest", name_of(request.wire))
                        : "the schedule as given",
      name_of(request.placement));
}

std::string placed_text(const Request& request, const std::string& placed) {
  return std::holds_alternative<SearchRule>(request.placement) ? ", placed " + placed : std::string();
}

}  // namespace meshattn
