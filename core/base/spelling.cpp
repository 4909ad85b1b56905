#include "core/base/spelling.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace meshattn {

namespace {

/// Levenshtein distance: letters to insert, remove or replace.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest(std::string_view given, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t fewest = given.size() / 3 + 2;
  for (std::string_view candidate : candidates) {
    const bool begins = given.size() >= 2 && candidate.starts_with(given);
    const std::size_t distance = begins ? 1 : edits(given, candidate);
    if (distance < fewest) fewest = distance, best = candidate;
  }
  return best;
}

}  // namespace meshattn
