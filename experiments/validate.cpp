#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "core/report/figures.h"
#include "core/report/file.h"
#include "experiments/children.h"
#include "experiments/evaluate.h"
#include "experiments/published.h"
#include "experiments/request.h"
#include "experiments/table.h"
#include "experiments/verb.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// Seconds of all passes of what a row's options say, and between what they may be.
struct Prediction {
  double seconds = 0;
  double least_s = 0;
  double most_s = 0;
};

Prediction prediction_of(const PublishedRow& row) {
  const Verb simulate = simulate_verb();
  const po::variables_map options = parse_arguments(simulate, row.options);
  for (const char* output : {"json", "trace", "trace-ranks"})
    if (options.count(output)) throw InvalidInput(fmt::format("--{} has no place in a table", output));
  const Request request = read_request("validate", options);
  const auto [placement, passes] = request.arranged(read_methods(request), request.question.placement);
  const Network network(request.cluster, placement);
  Outcome outcome;
  for (const PlanRequest& pass : passes)
    outcome.passes.push_back(evaluate(pass, network, request.cluster.gpu, request.corners).summary);
  const Summary total = outcome.total();
  const auto [least_s, most_s] = range_s(total);
  return {total.makespan_s, least_s, most_s};
}

/// @throws InvalidInput or SimulationError with the row's place if one cannot be predicted.
std::vector<Prediction> predict(const std::vector<PublishedRow>& rows) {
  std::vector<std::function<std::string()>> jobs;
  for (const PublishedRow& row : rows)
    jobs.push_back([&row] {
      const Prediction p = prediction_of(row);
      return fmt::format("{:.17g} {:.17g} {:.17g}", p.seconds, p.least_s, p.most_s);
    });
  std::vector<Prediction> predictions;
  const auto results = run_in_children(jobs, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::string said = fmt::format("{}: {}", rows[i].where, results[i].text);
    if (results[i].kind == ChildResult::Kind::kImpossible) throw InvalidInput(said);
    if (results[i].kind == ChildResult::Kind::kFailed) throw SimulationError(said);
    std::istringstream in(results[i].text);
    Prediction& p = predictions.emplace_back();
    in >> p.seconds >> p.least_s >> p.most_s;
  }
  return predictions;
}

/// What a table comes to: errors are predicted / published − 1.
struct Verdict {
  std::vector<double> errors;  ///< by row
  double median = 0;           ///< of their sizes
  double worst = 0;
  int within = 0;  ///< rows whose published time is in the predicted range
  std::map<std::string, std::optional<double>> rank_correlation;  ///< by block
};

Verdict verdict_of(const std::vector<PublishedRow>& rows, const std::vector<Prediction>& predicted) {
  Verdict v;
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> blocks;
  std::vector<double> sizes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    v.errors.push_back(predicted[i].seconds / rows[i].seconds - 1);
    if (predicted[i].least_s <= rows[i].seconds && rows[i].seconds <= predicted[i].most_s) ++v.within;
    sizes.push_back(std::abs(v.errors.back()));
    blocks[rows[i].block].first.push_back(rows[i].seconds);
    blocks[rows[i].block].second.push_back(predicted[i].seconds);
  }
  v.median = median(sizes);
  v.worst = std::ranges::max(sizes);
  for (const auto& [name, block] : blocks) v.rank_correlation[name] = rank_correlation(block.first, block.second);
  return v;
}

std::string text_of(const std::vector<PublishedRow>& rows, const std::vector<Prediction>& predicted, const Verdict& v) {
  std::vector<std::vector<std::string>> cells{{"block", "row", "published", "predicted", "error", "from", "to"}};
  for (std::size_t i = 0; i < rows.size(); ++i)
    cells.push_back({rows[i].block, rows[i].name, time_text(rows[i].seconds), time_text(predicted[i].seconds),
                     fmt::format("{:+.1f} %", v.errors[i] * 100), time_text(predicted[i].least_s),
                     time_text(predicted[i].most_s)});
  std::string text = aligned(cells, 2);
  text += fmt::format("\n{} rows: median error {}, worst {}; {} of them within the range predicted\n", rows.size(),
                      percent_text(v.median), percent_text(v.worst), v.within);
  for (const auto& [block, correlation] : v.rank_correlation)
    text += fmt::format("order of {}: rank correlation {}\n", block,
                        correlation ? fmt::format("{:.2f}", *correlation) : "unknown, nothing differs");
  return text;
}

nlohmann::ordered_json json_of(const std::vector<PublishedRow>& rows, const std::vector<Prediction>& predicted,
                               const Verdict& v) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array(), order = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < rows.size(); ++i)
    list.push_back({{"block", rows[i].block},
                    {"name", rows[i].name},
                    {"published_s", rows[i].seconds},
                    {"predicted_s", predicted[i].seconds},
                    {"range_s", {predicted[i].least_s, predicted[i].most_s}},
                    {"error", v.errors[i]},
                    {"source", rows[i].source}});
  for (const auto& [block, correlation] : v.rank_correlation)
    order[block] = correlation ? nlohmann::ordered_json(*correlation) : nlohmann::ordered_json();
  return {{"rows", list},
          {"median_error", v.median},
          {"worst_error", v.worst},
          {"within_range", v.within},
          {"rank_correlation", order}};
}

int validate_table(const po::variables_map& given) {
  require_simulator();
  const std::string json = optional(given, "json");
  const std::vector<PublishedRow> rows =
      read_published(required(given, "table", "experiments/validation/ring-flash-attention-a100.csv"));
  if (!json.empty()) check_writable(json);
  const std::vector<Prediction> predicted = predict(rows);
  const Verdict verdict = verdict_of(rows, predicted);
  if (!json.empty())
    write_file(json, [&](std::ostream& out) { out << json_of(rows, predicted, verdict).dump(2) << '\n'; });
  if (json != "-") std::cout << text_of(rows, predicted, verdict);
  return 0;
}

}  // namespace

Verb validate_verb() {
  Verb verb{"validate", "predictions beside a table of published measurements: the error of each row",
            "  meshattn validate --table experiments/validation/ring-flash-attention-a100.csv\n",
            po::options_description("options"), validate_table};
  verb.options.add_options()  //
      ("table", po::value<std::string>()->value_name("FILE"),
       "published rows, each with the options of simulate that predict it: see experiments/validation")  //
      ("json", po::value<std::string>()->value_name("FILE"), "results as JSON; - is standard output");
  return verb;
}

}  // namespace meshattn
