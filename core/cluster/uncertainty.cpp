#include "core/cluster/uncertainty.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string_view>

#include "core/base/ini_file.h"

namespace meshattn {

namespace {

bool is_slow_if_large(std::string_view key) {
  return key.ends_with("_us") || key.ends_with("_bytes") || key == "oversubscription";
}

/// The end of a figure's spread, or how far the key lets it go.
double end_of(const Figure& figure, std::string_view key, bool fast) {
  const double value = parse_number(figure.value, key);
  const double end = is_slow_if_large(key) == fast ? value - figure.uncertainty : value + figure.uncertainty;
  const double within = std::clamp(end, value / 10, value * 10);
  if (key == "oversubscription") return std::max(1.0, within);
  if (key.ends_with("efficiency")) return std::min(1.0, within);
  return std::clamp(within, kSmallestNumber, kLargestNumber);
}

std::vector<std::string> settings_of(const Cluster& cluster, bool fast) {
  std::vector<std::string> settings;
  for (const auto& [name, figure] : cluster.figures)
    if (figure.uncertainty > 0)
      settings.push_back(
          fmt::format("{}={:.17g}", name, end_of(figure, std::string_view(name).substr(name.find('.') + 1), fast)));
  return settings;
}

}  // namespace

std::vector<std::vector<std::string>> corners_of(const Cluster& cluster) {
  std::vector<std::vector<std::string>> corners{settings_of(cluster, false), settings_of(cluster, true)};
  if (corners.front().empty()) corners.clear();
  return corners;
}

}  // namespace meshattn
