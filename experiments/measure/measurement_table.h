#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

/// A measured time and the options of `simulate` that predict it. If the time is the mean over several runs that took
/// turns, each run has its options.
struct MeasurementRow {
  std::string where;  ///< file and line
  std::string block;  ///< rows of one block compare ways to do the same: their order counts
  std::string name;
  double seconds = 0;
  std::vector<std::vector<std::string>> runs;
  std::string source;
};

/// Reads a table in CSV: lines that begin with # are comments, the heading is block,name,value,unit,options,source.
/// " ; " separates the options of runs that took turns. Units are ms, or iter/s for iterations of all passes.
/// @throws InvalidInput naming file and line.
[[nodiscard]] std::vector<MeasurementRow> read_measurement_table(const std::string& path);

/// Spearman's rank correlation of two lists of the same length; equal numbers share their mean rank. Nothing if all
/// numbers of one list are equal.
[[nodiscard]] std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace meshattn
