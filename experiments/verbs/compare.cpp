#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <sstream>
#include <thread>

#include "core/algorithms/catalogue.h"
#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/output_file.h"
#include "core/planner/tolerances.h"
#include "core/report/json.h"
#include "experiments/cli/child_processes.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/summary_text.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/units.h"
#include "experiments/cli/verb.h"
#include "experiments/simulator.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// One line of the comparison: what is asked, and what came out.
struct Row {
  Request request;
  Result result;
};

/// "8 x 4x8" and all else that is chosen, where there is no configuration to say it.
std::string options_text(const Options& options) {
  const std::string tile = options.tile ? tile_text(*options.tile) : "";
  if (!options.ulysses) return tile;
  return tile.empty() ? fmt::format("ulysses {}", *options.ulysses) : fmt::format("{} x {}", *options.ulysses, tile);
}

Row row_of(Request request, const Algorithm& algorithm, const Options& options) {
  request.algorithm = algorithm.name;
  request.options = options;
  Result result{request.algorithm, options_text(options)};
  try {
    for (Configuration& c : with_flags([&] { return configure(request); }))
      result.plan.phases.push_back({.configuration = std::move(c)});
    result.choice = forms_text(result.plan);
  } catch (const InvalidInput& e) {
    result.impossible = e.what();
  }
  return {std::move(request), std::move(result)};
}

bool placed_linearly(const Request& request) { return std::holds_alternative<LinearRule>(request.placement); }

/// A tile that makes no mesh is a mistake, not a row.
void check_tile(Request request) {
  const Options& given = request.options;
  if ((!given.tile && !given.tile_backward) || !request.algorithm.empty() || given.ulysses) return;
  request.algorithm = "mesh";
  request.options = {.tile = given.tile.value_or(Tile{1, request.problem.ranks}), .tile_backward = given.tile_backward};
  (void)configure(request);
}

/// The plain ring, which all are compared with, and everything that the user's options leave in.
std::vector<Row> rows_of(const Request& request) {
  check_tile(request);
  const Algorithm& ring = algorithms().front();
  Request plain = request;
  plain.placement = LinearRule{};
  std::vector<Row> rows{row_of(std::move(plain), ring, {})};
  for (const Algorithm& algorithm : algorithms()) {
    if (!request.algorithm.empty() && request.algorithm != algorithm.name) continue;
    // An algorithm that is named keeps options that it does not take: they are refused, not left out in silence.
    const Options taken = request.algorithm.empty() ? options_for(algorithm, request.options) : request.options;
    for (const Options& options : algorithm.variants(request.problem, taken))
      if (&algorithm != &ring || options != Options{} || (!request.algorithm.empty() && !placed_linearly(request)))
        rows.push_back(row_of(request, algorithm, options));
  }
  return rows;
}

/// Takes the result that a child process sent for a row. Says how the tokens are dealt where rows differ in it.
void read_answer(const std::string& answer, const Request& request, Row& row) {
  row.result = read_result(answer, row.request);
  const Partition partition = row.result.partition;
  if (tries_partitions(request) || partition != request.problem.partition)
    row.result.choice += fmt::format(", {}", name_of(partition));
}

/// Plans, proves and simulates every row that is possible, each in a process of its own.
/// @returns whether none of them failed.
bool run(const Request& request, std::vector<Row>& rows) {
  std::vector<std::function<std::string()>> jobs;
  std::vector<Row*> row_of_job;
  for (Row& row : rows) {
    if (!row.result.impossible.empty()) continue;
    jobs.push_back([&row] { return with_flags([&] { return to_text(evaluate(row.request)); }); });
    row_of_job.push_back(&row);
  }
  const auto results = run_in_child_processes(jobs, std::thread::hardware_concurrency());
  bool well = true;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].kind == ChildResult::Kind::kFailed) well = false;
    if (results[i].kind == ChildResult::Kind::kDone)
      read_answer(results[i].text, request, *row_of_job[i]);
    else
      row_of_job[i]->result.impossible = results[i].text;
  }
  return well;
}

double total_s(const Result& row) { return row.total().makespan_s; }

/// The fastest row, or none; of those as fast, the one that receives least.
const Result* fastest(const std::vector<Result>& rows) {
  double least_s = std::numeric_limits<double>::infinity();
  for (const Result& row : rows)
    if (row.is_possible()) least_s = std::min(least_s, total_s(row));
  const Result* best = nullptr;
  const auto received = [](const Result& row) { return row.total().volume.bytes_received_avg; };
  for (const Result& row : rows)
    if (row.is_possible() && total_s(row) <= (1 + kAsFast) * least_s &&
        (best == nullptr || received(row) < received(*best)))
      best = &row;
  return best;
}

/// Marks the fastest row, and those that are no slower than it may be by the uncertainty of its figures.
void mark(std::vector<Result>& rows, const Result& best) {
  const double most_s = range_s(best.total()).second;
  for (Result& row : rows) {
    row.is_fastest = &row == &best;
    row.within_range = row.is_possible() && total_s(row) <= most_s;
  }
}

std::string row_name(const Result& row) {
  return row.choice.empty() ? row.algorithm : fmt::format("{} {}", row.algorithm, row.choice);
}

std::string speed_up(const Result& ring, double seconds) {
  return !ring.is_possible() || seconds <= 0 ? "-" : fmt::format("{:.2f}", total_s(ring) / seconds);
}

std::string table_of(const Request& request, const std::vector<Result>& rows) {
  std::vector<std::vector<std::string>> cells{{"", "algorithm", "tile", "makespan", "speed-up", "waiting", "chunks",
                                               "received", "between nodes", "at most", "memory", "near"}};
  const bool show_placed = !placed_linearly(request);
  if (show_placed) cells.front().push_back("placed");
  for (const Result& row : rows) {
    cells.push_back({row.is_fastest ? "*" : row.within_range ? "~" : "", row.algorithm, row.choice});
    if (!row.is_possible()) continue;
    const Summary s = row.total();
    for (std::string& cell : std::vector{
             time_text(s.makespan_s), speed_up(rows.front(), s.makespan_s), percent_text(s.waiting),
             fmt::format("{:.2f}", s.volume.chunks_received_avg), bytes_text(s.volume.bytes_received_avg),
             bytes_text(s.volume.inter_node_bytes_avg), bytes_text(static_cast<double>(s.volume.inter_node_bytes_max)),
             bytes_text(static_cast<double>(s.peak_bytes)), near_bound(s)})
      cells.back().push_back(std::move(cell));
    if (show_placed) cells.back().push_back(s.placed);
  }
  std::string text = aligned(cells, 3);
  for (const Result& row : rows)
    if (!row.is_possible()) text += fmt::format("{}: not possible because {}\n", row_name(row), row.impossible);
  return text +
         "* fastest (of equals, the one that receives least); ~ no further from it than its prediction may be off; "
         "speed-up over ring; received and between nodes: bytes into a GPU, average; at most: between nodes, into any "
         "GPU; a chunk is one GPU's Q\n";
}

/// Whether one row's backward pass can follow another's forward pass as it is: tokens dealt alike, to the same GPUs,
/// and heads shared out among as many. A grid is that of the first pass's tile.
bool can_follow(const Result& forward, const Result& backward) {
  const std::string& placed = forward.plan.placement.name;
  const MeshForm &first = forward.plan.phases.front().configuration.form,
                 &other = backward.plan.phases.front().configuration.form;
  const bool same_gpus = placed == backward.plan.placement.name && (placed == "linear" || first.tile == other.tile);
  return same_gpus && forward.partition == backward.partition &&
         first.ulysses == backward.plan.phases.back().configuration.form.ulysses;
}

/// The time of two passes of different rows together, if no row takes as little.
std::string pair_text(const std::vector<Result>& rows, const Result& best) {
  if (best.summaries.size() < 2) return "";
  const Result *first = &best, *second = &best;
  const auto together_s = [](const Result& a, const Result& b) {
    return a.summaries.front().makespan_s + b.summaries.back().makespan_s;
  };
  for (const Result& a : rows)
    for (const Result& b : rows)
      if (a.is_possible() && b.is_possible() && can_follow(a, b) && together_s(a, b) < together_s(*first, *second))
        first = &a, second = &b;
  if (first == second) return "";
  return fmt::format("{} forward ({}) and {} backward ({}) take {} together, and tokens need not move between them.\n",
                     row_name(*first), time_text(first->summaries.front().makespan_s), row_name(*second),
                     time_text(second->summaries.back().makespan_s), time_text(together_s(*first, *second)));
}

/// The answer in words.
std::string closing(const Request& request, const std::vector<Result>& rows, const Result& best) {
  const Summary s = best.total();
  const auto [least_s, most_s] = range_s(s);
  std::string text = fmt::format(
      "\n{} is the fastest: {} ({} to {} by the spread of the cluster's figures){}{}. Each GPU receives {} ({:.2f} "
      "chunks), {} of it from other nodes (at most {}), and "
      "holds at most "
      "{}.\nCompute lanes wait {} of the time: {}. It is near {}; no schedule can take less than {}.\n",
      row_name(best), time_text(s.makespan_s), time_text(least_s), time_text(most_s),
      &best == &rows.front() || !rows.front().is_possible()
          ? ""
          : fmt::format(", {} times as fast as ring", speed_up(rows.front(), s.makespan_s)),
      placed_text(request, s.placed), bytes_text(s.volume.bytes_received_avg), s.volume.chunks_received_avg,
      bytes_text(s.volume.inter_node_bytes_avg), bytes_text(static_cast<double>(s.volume.inter_node_bytes_max)),
      bytes_text(static_cast<double>(s.peak_bytes)), percent_text(s.waiting), waits_text(s), near_text(s),
      time_text(s.problem_bound_s));
  return text + pair_text(rows, best);
}

int compare(const po::variables_map& given) {
  require_simulator();
  const Request request = read_request("compare", given);
  const std::string json = optional(given, "json");
  if (!json.empty()) check_writable(json);
  std::vector<Row> asked = rows_of(request);
  (void)Network(request.cluster, request.problem.ranks);  // refuses GPUs that fit no row
  const bool well = run(request, asked);
  std::vector<Result> rows;
  for (Row& row : asked) rows.push_back(std::move(row.result));
  const Result* best = fastest(rows);
  if (best != nullptr) mark(rows, *best);
  if (!json.empty()) write_file(json, [&](std::ostream& out) { write_json(out, request, rows); });
  if (json != "-") {
    std::cout << headline(request) << '\n' << table_of(request, rows);
    if (best != nullptr) std::cout << closing(request, rows, *best);
  }
  if (!well) throw SimulationError("not every row could be simulated: see 'not possible' above");
  if (best == nullptr)
    throw InvalidInput(fmt::format("none of {} ways is possible; {}, the first: {}", rows.size(),
                                   row_name(rows.front()), rows.front().impossible));
  return 0;
}

}  // namespace

Verb compare_verb() {
  Verb verb{"compare", "the algorithms side by side on one cluster: which tile, how long, how much traffic",
            "  meshattn compare --cluster dgx-h100 --gpus 64 --model llama-3.1-8b --seq 256K --mask causal\n",
            po::options_description(), compare};
  add_request_options(verb.options);
  po::options_description output = option_group("output");
  output.add_options()("json", text_value("FILE"), "results as JSON; - is standard output");
  add_output_options(verb.options, output);
  return verb;
}

}  // namespace meshattn
