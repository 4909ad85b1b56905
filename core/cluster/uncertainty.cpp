#include "core/cluster/uncertainty.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string_view>

#include "core/base/numbers.h"

namespace meshattn {

namespace {

bool is_slow_if_large(std::string_view key) {
  return key.ends_with("_us") || key.ends_with("_bytes") || key == "oversubscription";
}

double value_at(UncertaintyEnd end, const Figure& figure, std::string_view key) {
  const double value = parse_number(figure.value, key);
  const bool larger = is_slow_if_large(key) == (end == UncertaintyEnd::kSlow);
  const double moved = larger ? value + figure.uncertainty : value - figure.uncertainty;
  const double within = std::clamp(moved, value / 10, value * 10);
  if (key == "oversubscription") return std::max(1.0, within);
  if (key.ends_with("efficiency")) return std::min(1.0, within);
  return std::clamp(within, kSmallestNumber, kLargestNumber);
}

}  // namespace

std::vector<std::string> settings_of(UncertaintyEnd end, const Cluster& cluster) {
  std::vector<std::string> settings;
  for (const auto& [name, figure] : cluster.figures)
    if (figure.uncertainty > 0)
      settings.push_back(
          fmt::format("{}={:.17g}", name, value_at(end, figure, std::string_view(name).substr(name.find('.') + 1))));
  return settings;
}

std::vector<Cluster> uncertainty_ends(const ClusterFiles& files) {
  const Cluster cluster = files.cluster();
  std::vector<Cluster> ends;
  for (UncertaintyEnd end : {UncertaintyEnd::kSlow, UncertaintyEnd::kFast})
    if (const std::vector<std::string> settings = settings_of(end, cluster); !settings.empty())
      ends.push_back(files.cluster(settings));
  return ends;
}

}  // namespace meshattn
