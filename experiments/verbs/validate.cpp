#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>

#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/median.h"
#include "core/base/output_file.h"
#include "experiments/cli/child_processes.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/options/run_options.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/verb.h"
#include "experiments/evaluate.h"
#include "experiments/measure/measurement_table.h"
#include "experiments/measure/run_validation.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// Seconds of all passes of what options say, and between what they may be.
struct Prediction {
  double seconds = 0;
  double least_s = 0;
  double most_s = 0;
};

Prediction prediction_of(const std::vector<std::string>& arguments) {
  const Verb simulate = simulate_verb();
  const po::variables_map options = parse_arguments(simulate, arguments);
  for (const char* output : {"json", "trace", "trace-ranks", "log-level", "help"})
    if (options.count(output)) throw InvalidInput(fmt::format("--{} has no place in a table", output));
  Request request = read_request("validate", options);
  const auto [placement, passes] = settle(request);
  const Network network(request.cluster, placement);
  Outcome outcome;
  for (const PlanRequest& pass : passes)
    outcome.passes.push_back(evaluate(pass, network, request.cluster.gpu, request.corners).summary);
  const Summary total = outcome.total();
  const auto [least_s, most_s] = range_s(total);
  return {total.makespan_s, least_s, most_s};
}

/// Of the runs of each row, which take turns, the mean.
/// @throws InvalidInput or SimulationError with the row's place if one cannot be predicted.
std::vector<Prediction> predict(const std::vector<MeasurementRow>& rows) {
  std::vector<std::function<std::string()>> jobs;
  std::vector<std::size_t> row_of;  // by job
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (const std::vector<std::string>& options : rows[row].runs) {
      row_of.push_back(row);
      jobs.push_back([&options] {
        const Prediction p = prediction_of(options);
        return fmt::format("{:.17g} {:.17g} {:.17g}", p.seconds, p.least_s, p.most_s);
      });
    }
  std::vector<Prediction> predictions(rows.size());
  const auto results = run_in_child_processes(jobs, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const MeasurementRow& row = rows[row_of[i]];
    const std::string said = fmt::format("{}: {}", row.where, results[i].text);
    if (results[i].kind == ChildResult::Kind::kImpossible) throw InvalidInput(said);
    if (results[i].kind == ChildResult::Kind::kFailed) throw SimulationError(said);
    std::istringstream in(results[i].text);
    Prediction run;
    in >> run.seconds >> run.least_s >> run.most_s;
    const auto turns = static_cast<double>(row.runs.size());
    Prediction& p = predictions[row_of[i]];
    p.seconds += run.seconds / turns;
    p.least_s += run.least_s / turns;
    p.most_s += run.most_s / turns;
  }
  return predictions;
}

/// What some rows come to: errors are predicted / published − 1, their sizes counted.
struct Errors {
  std::size_t rows = 0;
  double median = 0;
  double worst = 0;
  int within = 0;  ///< rows whose published time is in the predicted range
  std::optional<double> rank_correlation;
};

double error_of(const MeasurementRow& row, const Prediction& p) { return p.seconds / row.seconds - 1; }

/// Of the rows of a block; of all rows, whose order means nothing, if none is named.
Errors errors_of(const std::vector<MeasurementRow>& rows, const std::vector<Prediction>& predicted,
                 const std::optional<std::string>& block) {
  Errors e;
  std::vector<double> sizes, published, found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (block && rows[i].block != *block) continue;
    published.push_back(rows[i].seconds);
    found.push_back(predicted[i].seconds);
    sizes.push_back(std::abs(error_of(rows[i], predicted[i])));
    if (predicted[i].least_s <= rows[i].seconds && rows[i].seconds <= predicted[i].most_s) ++e.within;
  }
  e.rows = sizes.size();
  e.median = median(sizes);
  e.worst = std::ranges::max(sizes);
  if (block && e.rows > 2) e.rank_correlation = rank_correlation(published, found);  // of two it is always whole
  return e;
}

/// Names in order of their first row.
std::vector<std::string> blocks_of(const std::vector<MeasurementRow>& rows) {
  std::vector<std::string> blocks;
  for (const MeasurementRow& row : rows)
    if (std::ranges::find(blocks, row.block) == blocks.end()) blocks.push_back(row.block);
  return blocks;
}

std::string text_of(const std::vector<MeasurementRow>& rows, const std::vector<Prediction>& predicted) {
  std::vector<std::vector<std::string>> cells{{"block", "row", "published", "predicted", "error", "from", "to"}};
  for (std::size_t i = 0; i < rows.size(); ++i)
    cells.push_back({rows[i].block, rows[i].name, time_text(rows[i].seconds), time_text(predicted[i].seconds),
                     fmt::format("{:+.1f} %", error_of(rows[i], predicted[i]) * 100), time_text(predicted[i].least_s),
                     time_text(predicted[i].most_s)});
  const std::string text = aligned(cells, 2);
  cells = {{"block", "rows", "median", "worst", "from ... to", "order"}};
  const auto add = [&](const std::string& name, const Errors& e) {
    cells.push_back({name, std::to_string(e.rows), percent_text(e.median), percent_text(e.worst),
                     fmt::format("{} of {}", e.within, e.rows),
                     e.rank_correlation ? fmt::format("{:.2f}", *e.rank_correlation) : "-"});
  };
  for (const std::string& block : blocks_of(rows)) add(block, errors_of(rows, predicted, block));
  add("all", errors_of(rows, predicted, {}));
  return text + '\n' + aligned(cells, 1) +
         "from ... to: rows whose published time is in the range predicted; order: rank correlation (Spearman)\n";
}

nlohmann::ordered_json json_of(const Errors& e) {
  nlohmann::ordered_json json{
      {"rows", e.rows}, {"median_error", e.median}, {"worst_error", e.worst}, {"within_range", e.within}};
  if (e.rank_correlation) json["rank_correlation"] = *e.rank_correlation;
  return json;
}

nlohmann::ordered_json json_of(const std::vector<MeasurementRow>& rows, const std::vector<Prediction>& predicted) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array(), blocks = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < rows.size(); ++i)
    list.push_back({{"block", rows[i].block},
                    {"name", rows[i].name},
                    {"published_s", rows[i].seconds},
                    {"predicted_s", predicted[i].seconds},
                    {"range_s", {predicted[i].least_s, predicted[i].most_s}},
                    {"error", error_of(rows[i], predicted[i])},
                    {"source", rows[i].source}});
  for (const std::string& block : blocks_of(rows)) blocks[block] = json_of(errors_of(rows, predicted, block));
  return {{"rows", list}, {"blocks", blocks}, {"all", json_of(errors_of(rows, predicted, {}))}};
}

int validate_table(const po::variables_map& given) {
  const std::string json = optional(given, "json");
  const std::vector<MeasurementRow> rows =
      read_measurement_table(required(given, "table", "experiments/validation/ring-flash-attention-a100.csv"));
  if (!json.empty()) check_writable(json);
  const std::vector<Prediction> predicted = predict(rows);
  if (!json.empty()) write_file(json, [&](std::ostream& out) { out << json_of(rows, predicted).dump(2) << '\n'; });
  if (json != "-") std::cout << text_of(rows, predicted);
  return 0;
}

int compare_with_measurements(const po::variables_map& given) {
  require_simulator();
  if (!given.count("table")) return validate_run(given);
  for (const auto& [option, value] : given)
    if (option != "table" && option != "json" && option != "log-level")
      throw InvalidInput(fmt::format("--{} has no place beside --table, whose rows have their options", option));
  return validate_table(given);
}

}  // namespace

Verb validate_verb() {
  Verb verb{"validate", "predictions beside measurements: of a schedule on this machine, or published ones",
            "  meshattn validate --cluster my-box --topologies my-topologies --gpus 8 --ranks-per-gpu 8 --heads 64 \\\n"
            "      --kv-heads 8 --head-dim 128 --seq 32K --algorithm mesh --tile 2x4 --trace both.json\n"
            "  meshattn validate --table experiments/validation/ring-flash-attention-a100.csv\n",
            po::options_description(), compare_with_measurements};
  po::options_description measurements = option_group("measurements");
  measurements.add_options()("table", text_value("FILE"),
                             "a table, each row with options of simulate; without it a schedule runs here");
  verb.options.add(measurements);
  add_run_options(verb.options);
  return verb;
}

}  // namespace meshattn
