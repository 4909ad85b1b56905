#include "core/spread.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string_view>

#include "core/keyed_file.h"

namespace meshattn {

namespace {

bool is_slow_if_large(std::string_view key) {
  return key.ends_with("_us") || key.ends_with("_bytes") || key == "oversubscription";
}

/// The settings that move all figures of a kind to one end of their spread.
std::vector<std::string> settings_of(const Cluster& cluster, bool compute, bool fast) {
  std::vector<std::string> settings;
  for (const auto& [name, figure] : cluster.figures) {
    const std::string_view section = std::string_view(name).substr(0, name.find('.'));
    const std::string_view key = std::string_view(name).substr(name.find('.') + 1);
    if (figure.spread == 0 || (section == "gpu" || section == "framework") != compute) continue;
    const double value = parse_number(figure.value, name);
    double end = is_slow_if_large(key) == fast ? value - figure.spread : value + figure.spread;
    if (end <= 0) end = is_slow_if_large(key) ? 0 : value / 10;  // a spread beyond all there is
    if (key.find("efficiency") != std::string_view::npos) end = std::min(end, 1.0);
    settings.push_back(fmt::format("{}={:.17g}", name, end));
  }
  return settings;
}

}  // namespace

std::vector<std::vector<std::string>> corners_of(const Cluster& cluster) {
  const auto ends = [&](bool compute) {
    std::vector<std::vector<std::string>> both;
    for (bool fast : {false, true}) both.push_back(settings_of(cluster, compute, fast));
    if (both.front().empty()) both.resize(1);
    return both;
  };
  std::vector<std::vector<std::string>> corners;
  for (const std::vector<std::string>& compute : ends(true))
    for (const std::vector<std::string>& network : ends(false)) {
      corners.push_back(compute);
      corners.back().insert(corners.back().end(), network.begin(), network.end());
    }
  if (corners.size() == 1) corners.clear();
  return corners;
}

}  // namespace meshattn
