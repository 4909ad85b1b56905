#include "experiments/measure/measurement_table.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/tokenizer.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "core/base/error.h"
#include "core/base/input_file.h"
#include "core/base/numbers.h"

namespace meshattn {

namespace {

const std::vector<std::string> kHeading{"block", "name", "value", "unit", "options", "source"};

/// Fields of a CSV line. @throws InvalidInput on a quote that is not closed, or a backslash that escapes nothing
std::vector<std::string> fields_of(const std::string& line, const std::string& where) {
  if (std::ranges::count(line, '"') % 2 != 0) throw InvalidInput(fmt::format("{}: a quote that is not closed", where));
  try {
    const boost::tokenizer<boost::escaped_list_separator<char>> fields(line);
    return {fields.begin(), fields.end()};
  } catch (const boost::escaped_list_error&) {
    throw InvalidInput(fmt::format("{}: a backslash that escapes nothing", where));
  }
}

MeasurementRow row_of(const std::vector<std::string>& fields, const std::string& where) {
  if (fields.size() != kHeading.size())
    throw InvalidInput(
        fmt::format("{}: {} fields, not {}: {}", where, fields.size(), kHeading.size(), fmt::join(kHeading, ",")));
  MeasurementRow row{where, fields[0], fields[1], 0, {}, fields[5]};
  const double value = parse_number(fields[2], fmt::format("{}: value", where));
  if (!(value > 0)) throw InvalidInput(fmt::format("{}: value {} is not above zero", where, fields[2]));
  if (fields[3] != "ms" && fields[3] != "iter/s")
    throw InvalidInput(fmt::format("{}: unknown unit '{}': possible are ms, iter/s", where, fields[3]));
  row.seconds = fields[3] == "ms" ? value / 1e3 : 1 / value;
  if (!(row.seconds >= 1e-9 && row.seconds <= 1e9))
    throw InvalidInput(fmt::format("{}: {} {} are {} s: from 1e-9 to 1e9 is possible", where, printable(fields[2]),
                                   fields[3], row.seconds));
  std::istringstream words(fields[4]);
  row.runs.emplace_back();
  for (std::string word; words >> word;)
    if (word == ";")
      row.runs.emplace_back();
    else
      row.runs.back().push_back(word);
  const bool no_options = std::ranges::any_of(row.runs, [](const auto& options) { return options.empty(); });
  if (row.name.empty() || no_options || row.source.empty())
    throw InvalidInput(fmt::format("{}: name, options and source must not be empty", where));
  return row;
}

/// Ranks from 1; equal numbers share their mean rank.
std::vector<double> ranks_of(std::span<const double> numbers) {
  std::vector<double> ranks;
  for (double x : numbers) {
    const auto below = std::ranges::count_if(numbers, [x](double y) { return y < x; });
    const auto equal = std::ranges::count(numbers, x);
    ranks.push_back(static_cast<double>(below) + (static_cast<double>(equal) + 1) / 2);
  }
  return ranks;
}

}  // namespace

std::vector<MeasurementRow> read_measurement_table(const std::string& path) {
  std::ifstream in = open_file(path);
  std::vector<MeasurementRow> rows;
  bool heading = false;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string where = fmt::format("{}:{}", path, ++number);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> fields = fields_of(line, where);
    if (heading)
      rows.push_back(row_of(fields, where));
    else if (fields != kHeading)
      throw InvalidInput(fmt::format("{}: the heading must be {}", where, fmt::join(kHeading, ",")));
    heading = true;
  }
  if (rows.empty()) throw InvalidInput(fmt::format("{}: no rows", path));
  return rows;
}

std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> ra = ranks_of(a), rb = ranks_of(b);
  const double mean = (static_cast<double>(a.size()) + 1) / 2;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < ra.size(); ++i) {
    ab += (ra[i] - mean) * (rb[i] - mean);
    aa += (ra[i] - mean) * (ra[i] - mean);
    bb += (rb[i] - mean) * (rb[i] - mean);
  }
  if (!(aa > 0 && bb > 0)) return std::nullopt;
  return ab / std::sqrt(aa * bb);
}

}  // namespace meshattn
