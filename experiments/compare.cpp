#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <sstream>
#include <thread>

#include "core/algorithms.h"
#include "core/error.h"
#include "core/report/figures.h"
#include "core/report/file.h"
#include "core/report/json.h"
#include "experiments/children.h"
#include "experiments/evaluate.h"
#include "experiments/request.h"
#include "experiments/summary_text.h"
#include "experiments/table.h"
#include "experiments/units.h"
#include "experiments/verb.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// One line of the comparison.
struct Row {
  std::vector<Method> methods;  ///< of each pass; empty if impossible
  Outcome outcome;
};

/// "4x8" and what else is chosen, where a method cannot say.
std::string text_of(const Choices& choices) {
  std::string text = choices.tile ? tile_text(*choices.tile) : "";
  if (choices.ulysses) text = fmt::format("{} x {}", *choices.ulysses, text);
  return text;
}

/// What is chosen, the partition too if it is not everyone's; what only the backward pass has is not said.
std::string text_of(const Request& request, std::span<const Method> methods) {
  const Partition partition = request.plan_request(methods.front(), request.question.passes.front()).problem.partition;
  const std::string text = text_of(methods.front().form);
  if (partition == request.question.problem.partition) return text;
  return fmt::format("{}, {}", text, name_of(partition));
}

/// Every choice that the user left open for an algorithm.
std::vector<Choices> open_choices(const Request& request, const Algorithm& algorithm) {
  const Choices& given = request.choices;
  std::vector<Choices> choices;
  for (Choices c : choices_of(algorithm, request.question.problem)) {
    if (given.tile && algorithm.takes_tile && c.tile != given.tile) continue;
    if (given.ulysses && algorithm.takes_ulysses && c.ulysses && c.ulysses != given.ulysses) continue;
    if (given.ulysses && algorithm.takes_ulysses) c.ulysses = given.ulysses;
    if (algorithm.takes_inner) c.inner = given.inner;
    if (algorithm.takes_exchange) c.travel = given.travel;
    if (algorithm.generator == Generator::kMesh) c.slices = given.slices;
    choices.push_back(c);
  }
  return choices;
}

Row row_of(const Request& request, const Algorithm& algorithm, const Choices& choices) {
  Row row;
  row.outcome.algorithm = algorithm.name;
  row.outcome.choice = text_of(choices);
  try {
    row.methods = request.methods(algorithm.name, choices);
    row.outcome.choice = text_of(request, row.methods);
    row.outcome.forms = forms_of(row.methods);
  } catch (const InvalidInput& e) {
    row.outcome.impossible = e.what();
  }
  return row;
}

/// What is to be compared: the plain ring, which is the yardstick, and whatever the user left in.
std::vector<Row> rows_of(const Request& request) {
  // A tile that makes no mesh is a mistake, not a row.
  if (request.choices.tile && request.algorithm.empty() && !request.choices.ulysses)
    (void)request.methods("mesh", {.tile = request.choices.tile});
  const Algorithm& ring = algorithms().front();
  std::vector<Row> rows{row_of(request, ring, {})};
  for (const Algorithm& algorithm : algorithms()) {
    if (!request.algorithm.empty() && request.algorithm != algorithm.name) continue;
    for (const Choices& choices : open_choices(request, algorithm))
      if (&algorithm != &ring || choices != Choices{}) rows.push_back(row_of(request, algorithm, choices));
  }
  return rows;
}

/// Plans, proves and simulates a row. @returns the summaries of its passes, one a line.
std::string answer_of(const Request& request, std::span<const Method> open) {
  const auto [placement, methods] = request.arranged(open);
  const Network network(request.cluster, placement);
  std::string lines;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    const PlanRequest pass = request.plan_request(methods[i], request.question.passes[i]);
    lines += to_text(evaluate(pass, network, request.cluster.gpu).summary) + '\n';
  }
  return lines;
}

void read_answer(const std::string& lines, Row& row, const Request& request) {
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    Method& method = row.methods[row.outcome.passes.size()];
    row.outcome.passes.push_back(summary_from(line));
    method.form.slices = row.outcome.passes.back().slices;
  }
  row.outcome.choice = text_of(request, row.methods);
  row.outcome.forms = forms_of(row.methods);
}

/// Fills every row, each in a process of its own. @returns whether all that are possible went well.
bool run(const Request& request, std::vector<Row>& rows) {
  std::vector<std::function<std::string()>> jobs;
  std::vector<Row*> row_of;
  for (Row& row : rows) {
    if (row.methods.empty()) continue;
    jobs.push_back([&] { return answer_of(request, row.methods); });
    row_of.push_back(&row);
  }
  const auto results = run_in_children(jobs, std::thread::hardware_concurrency());
  bool well = true;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].kind == ChildResult::Kind::kFailed) well = false;
    if (results[i].kind == ChildResult::Kind::kDone)
      read_answer(results[i].text, *row_of[i], request);
    else
      row_of[i]->outcome.impossible = results[i].text;
  }
  return well;
}

/// The row with the fewest seconds(row), or none; of those equal to a thousandth the one that receives least.
template <typename Seconds>
const Outcome* fastest(const std::vector<Outcome>& rows, Seconds&& seconds) {
  double fewest = std::numeric_limits<double>::infinity();
  for (const Outcome& row : rows)
    if (!row.passes.empty()) fewest = std::min(fewest, seconds(row));
  const Outcome* best = nullptr;
  const auto received = [](const Outcome& row) { return row.total().volume.bytes_received_avg; };
  for (const Outcome& row : rows)
    if (!row.passes.empty() && seconds(row) <= 1.001 * fewest && (best == nullptr || received(row) < received(*best)))
      best = &row;
  return best;
}

double total_s(const Outcome& row) { return row.total().makespan_s; }

std::string name_of(const Outcome& row) {
  return row.choice.empty() ? row.algorithm : fmt::format("{} {}", row.algorithm, row.choice);
}

std::string speed_up(const Outcome& ring, double seconds) {
  return ring.passes.empty() || seconds <= 0 ? "-" : fmt::format("{:.2f}", total_s(ring) / seconds);
}

std::string table_of(const Request& request, const std::vector<Outcome>& rows, const Outcome* best) {
  std::vector<std::vector<std::string>> cells{{"", "algorithm", "tile", "makespan", "speed-up", "waiting", "chunks",
                                               "received", "between nodes", "at most", "memory", "near"}};
  const bool searched = std::holds_alternative<SearchRule>(request.question.placement);
  if (searched) cells.front().push_back("placed");
  for (const Outcome& row : rows) {
    cells.push_back({&row == best ? "*" : "", row.algorithm, row.choice});
    if (row.passes.empty()) continue;
    const Summary s = row.total();
    for (std::string& cell : std::vector{
             time_text(s.makespan_s), speed_up(rows.front(), s.makespan_s), percent_text(s.waiting),
             fmt::format("{:.2f}", s.volume.chunks_received_avg), bytes_text(s.volume.bytes_received_avg),
             bytes_text(s.volume.inter_node_bytes_avg), bytes_text(static_cast<double>(s.volume.inter_node_bytes_max)),
             bytes_text(static_cast<double>(s.peak_bytes)), near_bound(s)})
      cells.back().push_back(std::move(cell));
    if (searched) cells.back().push_back(s.placed);
  }
  std::string text = aligned(cells, 3);
  for (const Outcome& row : rows)
    if (row.passes.empty()) text += fmt::format("{}: not possible because {}\n", name_of(row), row.impossible);
  return text +
         "* fastest (of equals, the one that receives least); speed-up over ring; received and between nodes: bytes "
         "into a GPU, average; at most: between nodes, into any GPU; a chunk is one GPU's Q\n";
}

/// The answer in words.
std::string closing(const Request& request, const std::vector<Outcome>& rows, const Outcome& best) {
  const Summary s = best.total();
  std::string text = fmt::format(
      "\n{} is the fastest: {}{}{}. Each GPU receives {} ({:.2f} chunks), {} of it from other nodes (at most {}), and "
      "holds at most "
      "{}.\nCompute lanes wait {} of the time: {}. It is near {}; no schedule can take less than {}.\n",
      name_of(best), time_text(s.makespan_s),
      &best == &rows.front() || rows.front().passes.empty()
          ? ""
          : fmt::format(", {} times as fast as ring", speed_up(rows.front(), s.makespan_s)),
      placed_text(request, s.placed), bytes_text(s.volume.bytes_received_avg), s.volume.chunks_received_avg,
      bytes_text(s.volume.inter_node_bytes_avg), bytes_text(static_cast<double>(s.volume.inter_node_bytes_max)),
      bytes_text(static_cast<double>(s.peak_bytes)), percent_text(s.waiting), waits_text(s), near_text(s),
      time_text(s.problem_bound_s));
  if (request.question.passes.size() < 2) return text;
  const auto of_pass = [&](std::size_t i) {
    return fastest(rows, [i](const Outcome& row) { return row.passes[i].makespan_s; });
  };
  const Outcome *forward = of_pass(0), *backward = of_pass(1);
  const double together = forward->passes[0].makespan_s + backward->passes[1].makespan_s;
  text += fmt::format("Forward is fastest with {} ({}), backward with {} ({})", name_of(*forward),
                      time_text(forward->passes[0].makespan_s), name_of(*backward),
                      time_text(backward->passes[1].makespan_s));
  return text + (forward == backward
                     ? ".\n"
                     : fmt::format(": {} together, and tokens need not move between them.\n", time_text(together)));
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
  const Outcome* best = fastest(rows, total_s);
  if (!json.empty()) write_file(json, [&](std::ostream& out) { write_json(out, request.question, rows); });
  if (json != "-") {
    std::cout << headline(request) << '\n' << table_of(request, rows, best);
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
  Verb verb{"compare", "the algorithms side by side on one cluster: which, with which tile, how long, how much traffic",
            "  meshattn compare --cluster dgx-h100 --gpus 64 --model llama-3.1-8b --seq 256K --mask causal\n",
            po::options_description("options"), compare};
  add_request_options(verb.options);
  verb.options.add_options()("json", po::value<std::string>()->value_name("FILE"),
                             "results as JSON; - is standard output");
  return verb;
}

}  // namespace meshattn
