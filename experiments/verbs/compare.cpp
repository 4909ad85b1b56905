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
#include "core/report/json.h"
#include "experiments/cli/child_processes.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/summary_text.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/units.h"
#include "experiments/cli/verb.h"
#include "experiments/evaluate.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// One line of the comparison.
struct Row {
  std::vector<Method> methods;  ///< of each pass; empty if impossible
  PlacementRule placement;
  Outcome outcome;
};

/// "8 x 4x8" and what else is chosen, where a method cannot say.
std::string text_of(const Choices& choices) {
  const std::string tile = choices.tile ? tile_text(*choices.tile) : "";
  if (!choices.ulysses) return tile;
  return tile.empty() ? fmt::format("ulysses {}", *choices.ulysses) : fmt::format("{} x {}", *choices.ulysses, tile);
}

Row row_of(const Request& request, const Algorithm& algorithm, const Choices& choices, const PlacementRule& placement) {
  Row row{{}, placement, {}};
  row.outcome.algorithm = algorithm.name;
  row.outcome.choice = text_of(choices);
  try {
    row.methods = request.methods(algorithm.name, choices);
    for (const Method& method : row.methods) row.outcome.forms.push_back(method.form);
    row.outcome.choice = text_of(row.outcome.forms);
  } catch (const InvalidInput& e) {
    row.outcome.impossible = e.what();
  }
  return row;
}

bool placed_linearly(const Question& question) { return std::holds_alternative<LinearRule>(question.placement); }

/// What is to be compared: the plain ring, which is the yardstick, and whatever the user left in.
std::vector<Row> rows_of(const Request& request) {
  const Question& question = request.question;
  const Choices& given = request.choices;
  // A tile that makes no mesh is a mistake, not a row.
  if ((given.tile || given.tile_backward) && request.algorithm.empty() && !given.ulysses)
    (void)request.methods(
        "mesh", {.tile = given.tile.value_or(Tile{1, request.ranks()}), .tile_backward = given.tile_backward});
  const Algorithm& ring = algorithms().front();
  std::vector<Row> rows{row_of(request, ring, {}, LinearRule{})};
  for (const Algorithm& algorithm : algorithms()) {
    if (!request.algorithm.empty() && request.algorithm != algorithm.name) continue;
    // Of an algorithm that is asked for by name nothing is left out without a word.
    const Choices its = request.algorithm.empty() ? taken_by(algorithm, given) : given;
    for (const Choices& choices : choices_of(algorithm, question.problem, its))
      if (&algorithm != &ring || choices != Choices{} || (!request.algorithm.empty() && !placed_linearly(question)))
        rows.push_back(row_of(request, algorithm, choices, question.placement));
  }
  return rows;
}

/// Plans, proves and simulates a row. @returns the partition, then the summaries of the passes, one a line.
std::string answer_of(const Request& request, const Row& row) {
  const auto [placement, passes] = request.arranged(row.methods, row.placement);
  const Network network(request.cluster, placement);
  std::string lines = std::string(name_of(passes.front().problem.partition)) + '\n';
  for (const PlanRequest& pass : passes)
    lines += to_text(evaluate(pass, network, request.cluster.gpu, request.corners).summary) + '\n';
  return lines;
}

void read_answer(const std::string& lines, Outcome& outcome, const Question& question) {
  std::istringstream in(lines);
  std::string line;
  std::getline(in, line);
  outcome.partition = parse_partition(line);
  while (std::getline(in, line)) {
    outcome.passes.push_back(summary_from(line));
    outcome.forms[outcome.passes.size() - 1].slices = outcome.passes.back().slices;
  }
  outcome.choice = text_of(outcome.forms);
  if (question.partition_open || outcome.partition != question.problem.partition)
    outcome.choice += fmt::format(", {}", name_of(outcome.partition));
}

/// Fills every row, each in a process of its own. @returns whether all that are possible went well.
bool run(const Request& request, std::vector<Row>& rows) {
  std::vector<std::function<std::string()>> jobs;
  std::vector<Row*> row_of_job;
  for (Row& row : rows) {
    if (row.methods.empty()) continue;
    jobs.push_back([&] { return answer_of(request, row); });
    row_of_job.push_back(&row);
  }
  const auto results = run_in_child_processes(jobs, std::thread::hardware_concurrency());
  bool well = true;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].kind == ChildResult::Kind::kFailed) well = false;
    if (results[i].kind == ChildResult::Kind::kDone)
      read_answer(results[i].text, row_of_job[i]->outcome, request.question);
    else
      row_of_job[i]->outcome.impossible = results[i].text;
  }
  return well;
}

double total_s(const Outcome& row) { return row.total().makespan_s; }

/// The fastest row, or none; of those equal to a thousandth the one that receives least.
const Outcome* fastest(const std::vector<Outcome>& rows) {
  double fewest = std::numeric_limits<double>::infinity();
  for (const Outcome& row : rows)
    if (!row.passes.empty()) fewest = std::min(fewest, total_s(row));
  const Outcome* best = nullptr;
  const auto received = [](const Outcome& row) { return row.total().volume.bytes_received_avg; };
  for (const Outcome& row : rows)
    if (!row.passes.empty() && total_s(row) <= 1.001 * fewest && (best == nullptr || received(row) < received(*best)))
      best = &row;
  return best;
}

/// Marks the fastest row, and those that are closer to it than how far off its own prediction may be.
void mark(std::vector<Outcome>& rows, const Outcome& best) {
  const double most_s = range_s(best.total()).second;
  for (Outcome& row : rows) {
    row.is_fastest = &row == &best;
    row.within_range = !row.passes.empty() && total_s(row) <= most_s;
  }
}

std::string name_of(const Outcome& row) {
  return row.choice.empty() ? row.algorithm : fmt::format("{} {}", row.algorithm, row.choice);
}

std::string speed_up(const Outcome& ring, double seconds) {
  return ring.passes.empty() || seconds <= 0 ? "-" : fmt::format("{:.2f}", total_s(ring) / seconds);
}

std::string table_of(const Request& request, const std::vector<Outcome>& rows) {
  std::vector<std::vector<std::string>> cells{{"", "algorithm", "tile", "makespan", "speed-up", "waiting", "chunks",
                                               "received", "between nodes", "at most", "memory", "near"}};
  const bool show_placed = !placed_linearly(request.question);
  if (show_placed) cells.front().push_back("placed");
  for (const Outcome& row : rows) {
    cells.push_back({row.is_fastest ? "*" : row.within_range ? "~" : "", row.algorithm, row.choice});
    if (row.passes.empty()) continue;
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
  for (const Outcome& row : rows)
    if (row.passes.empty()) text += fmt::format("{}: not possible because {}\n", name_of(row), row.impossible);
  return text +
         "* fastest (of equals, the one that receives least); ~ no further from it than its prediction may be off; "
         "speed-up "
         "over ring; received and between nodes: bytes into a GPU, average; at most: between nodes, into any GPU; a "
         "chunk "
         "is one GPU's Q\n";
}

/// Whether one row's backward pass can follow another's forward pass as it is: tokens dealt alike, to the same GPUs,
/// and heads shared out among as many. A grid is that of the first pass's tile.
bool can_follow(const Outcome& forward, const Outcome& backward) {
  const std::string& placed = forward.passes.front().placed;
  const bool same_gpus = placed == backward.passes.back().placed &&
                         (placed == "linear" || forward.forms.front().tile == backward.forms.front().tile);
  return same_gpus && forward.partition == backward.partition &&
         forward.forms.front().ulysses == backward.forms.back().ulysses;
}

/// What two passes of different rows take together, if that is less than any row takes.
std::string pair_text(const std::vector<Outcome>& rows, const Outcome& best) {
  if (best.passes.size() < 2) return "";
  const Outcome *first = &best, *second = &best;
  const auto together_s = [](const Outcome& a, const Outcome& b) {
    return a.passes.front().makespan_s + b.passes.back().makespan_s;
  };
  for (const Outcome& a : rows)
    for (const Outcome& b : rows)
      if (!a.passes.empty() && !b.passes.empty() && can_follow(a, b) && together_s(a, b) < together_s(*first, *second))
        first = &a, second = &b;
  if (first == second) return "";
  return fmt::format("{} forward ({}) and {} backward ({}) take {} together, and tokens need not move between them.\n",
                     name_of(*first), time_text(first->passes.front().makespan_s), name_of(*second),
                     time_text(second->passes.back().makespan_s), time_text(together_s(*first, *second)));
}

/// The answer in words.
std::string closing(const Request& request, const std::vector<Outcome>& rows, const Outcome& best) {
  const Summary s = best.total();
  const auto [least_s, most_s] = range_s(s);
  std::string text = fmt::format(
      "\n{} is the fastest: {} ({} to {} by the spread of the cluster's figures){}{}. Each GPU receives {} ({:.2f} "
      "chunks), {} of it from other nodes (at most {}), and "
      "holds at most "
      "{}.\nCompute lanes wait {} of the time: {}. It is near {}; no schedule can take less than {}.\n",
      name_of(best), time_text(s.makespan_s), time_text(least_s), time_text(most_s),
      &best == &rows.front() || rows.front().passes.empty()
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
  (void)Network(request.cluster, request.ranks());  // refuses GPUs that fit no row
  const bool well = run(request, asked);
  std::vector<Outcome> rows;
  for (Row& row : asked) rows.push_back(std::move(row.outcome));
  const Outcome* best = fastest(rows);
  if (best != nullptr) mark(rows, *best);
  if (!json.empty()) write_file(json, [&](std::ostream& out) { write_json(out, request.question, rows); });
  if (json != "-") {
    std::cout << headline(request) << '\n' << table_of(request, rows);
    if (best != nullptr) std::cout << closing(request, rows, *best);
  }
  if (!well) throw SimulationError("not every row could be simulated: see 'not possible' above");
  if (best == nullptr)
    throw InvalidInput(fmt::format("none of {} ways is possible; {}, the first: {}", rows.size(), name_of(rows.front()),
                                   rows.front().impossible));
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
