#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

/// A published measurement, and the options of `simulate` that predict it: of several runs that took turns, whose mean
/// was published, each has its own.
struct MeasurementRow {
  std::string where;  ///< file and line
  std::string block;  ///< rows of one block are rivals: their order counts
  std::string name;
  double seconds = 0;
  std::vector<std::vector<std::string>> runs;
  std::string source;
};

/// Reads a table: lines that begin with # are remarks, then the heading block,name,value,unit,options,source, then
/// rows; fields with commas in quotes; " ; " between the options of runs that took turns. Units: ms, or iter/s of an
/// iteration that does all passes.
/// @throws InvalidInput naming file and line.
[[nodiscard]] std::vector<MeasurementRow> read_measurement_table(const std::string& path);

/// Spearman's correlation of the ranks of two lists of one length, equal numbers sharing their mean rank; nothing if
/// all numbers of one of them are equal.
[[nodiscard]] std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace meshattn
