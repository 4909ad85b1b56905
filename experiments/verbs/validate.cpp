#include <spdlog/fmt/fmt.h>

#include <functional>
#include <iostream>
#include <sstream>
#include <thread>

#include "core/base/error.h"
#include "core/base/output_file.h"
#include "experiments/cli/child_processes.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/options/run_options.h"
#include "experiments/cli/request.h"
#include "experiments/cli/verb.h"
#include "experiments/measure/measurement_table.h"
#include "experiments/measure/prediction_errors.h"
#include "experiments/measure/run_validation.h"
#include "experiments/simulator.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

/// Prediction for the options of one run of `simulate`, all passes together.
Prediction prediction_of(const std::vector<std::string>& arguments) {
  const Verb simulate = simulate_verb();
  const po::variables_map options = parse_arguments(simulate, arguments);
  for (const char* output : {"json", "trace", "trace-ranks", "log-level", "help"})
    if (options.count(output)) throw InvalidInput(fmt::format("--{} has no place in a table", output));
  Request request = read_request("validate", options);
  require_algorithm(request);
  const Summary total = evaluate(request).total();
  const auto [least_s, most_s] = range_s(total);
  return {total.makespan_s, least_s, most_s};
}

/// Predictions of the rows: the means over the runs of each.
/// @throws InvalidInput or SimulationError with file and line of a row that cannot be predicted.
std::vector<Prediction> predict(const std::vector<MeasurementRow>& rows) {
  std::vector<std::function<std::string()>> jobs;
  std::vector<std::size_t> row_of;  // by job
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (const std::vector<std::string>& options : rows[row].runs) {
      row_of.push_back(row);
      jobs.push_back([&options] {
        const Prediction p = with_flags([&] { return prediction_of(options); });
        return fmt::format("{:.17g} {:.17g} {:.17g}", p.seconds, p.least_s, p.most_s);
      });
    }
  std::vector<Prediction> predictions(rows.size());
  const auto results = run_in_child_processes(jobs, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const MeasurementRow& row = rows[row_of[i]];
    const std::string message = fmt::format("{}: {}", row.where, results[i].text);
    if (results[i].kind == ChildResult::Kind::kImpossible) throw InvalidInput(message);
    if (results[i].kind == ChildResult::Kind::kFailed) throw SimulationError(message);
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
  if (!given.count("table"))
    return gpu::in_job(
        [&](const gpu::Job& job) { return measure(read_run_request(given, job), job, report_validation); });
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
