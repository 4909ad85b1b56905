#include "experiments/measure/prediction_errors.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/base/format.h"
#include "core/base/median.h"
#include "experiments/cli/text/table.h"

namespace meshattn {

namespace {

/// Errors of some rows, predicted / measured − 1, by their absolute values.
struct Errors {
  std::size_t rows = 0;
  double median = 0;
  double worst = 0;
  int within = 0;  ///< rows whose measured time is in the predicted range
  std::optional<double> rank_correlation;
};

double error_of(const MeasurementRow& row, const Prediction& p) { return p.seconds / row.seconds - 1; }

/// Errors of the rows of a block, or of all rows if none is named; the order of all rows means nothing.
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
  if (block && e.rows > 2)
    e.rank_correlation = rank_correlation(published, found);  // two rows are always in order or reversed
  return e;
}

/// Names of the blocks in order of their first rows.
std::vector<std::string> blocks_of(const std::vector<MeasurementRow>& rows) {
  std::vector<std::string> blocks;
  for (const MeasurementRow& row : rows)
    if (std::ranges::find(blocks, row.block) == blocks.end()) blocks.push_back(row.block);
  return blocks;
}

nlohmann::ordered_json json_of(const Errors& e) {
  nlohmann::ordered_json json{
      {"rows", e.rows}, {"median_error", e.median}, {"worst_error", e.worst}, {"within_range", e.within}};
  if (e.rank_correlation) json["rank_correlation"] = *e.rank_correlation;
  return json;
}

}  // namespace

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

}  // namespace meshattn
