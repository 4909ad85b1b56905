#include "core/algorithms.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "core/error.h"

namespace meshattn {

namespace {

constexpr std::array kAlgorithms{
    Algorithm{"ring", "Ring-Attention: keys and values go round all ranks (arXiv 2310.01889); the tile 1xN", false},
    Algorithm{"mesh", "Mesh-Attention: an AxB tile a rank, queries and keys both move (arXiv 2512.20968)", true},
};

}  // namespace

std::span<const Algorithm> algorithms() { return kAlgorithms; }

Tile tile_of(std::string_view name, int ranks, std::optional<Tile> given) {
  const auto known = std::ranges::find(kAlgorithms, name, &Algorithm::name);
  if (known == kAlgorithms.end()) {
    std::string names;
    for (const Algorithm& a : kAlgorithms) names += fmt::format("{}{}", names.empty() ? "" : ", ", a.name);
    throw InvalidInput(fmt::format("unknown algorithm '{}': possible are {}", name, names));
  }
  if (!known->takes_tile) {
    const Tile fixed{1, ranks};
    if (given && *given != fixed)
      throw InvalidInput(fmt::format("{} on {} ranks is the tile 1x{}, not {}x{}: use --algorithm mesh", name, ranks,
                                     ranks, given->rows, given->columns));
    return fixed;
  }
  std::string possible;
  for (Tile t : tiles_of(ranks)) possible += fmt::format("{}{}x{}", possible.empty() ? "" : ", ", t.rows, t.columns);
  if (!given) throw InvalidInput(fmt::format("{} needs --tile AxB: on {} ranks one of {}", name, ranks, possible));
  if (given->rows < 1 || given->columns < 1 || given->rows > ranks || given->rows * given->columns != ranks)
    throw InvalidInput(fmt::format("tile {}x{} does not make {} ranks: possible are {}", given->rows, given->columns,
                                   ranks, possible));
  return *given;
}

std::vector<Tile> tiles_of(int ranks) {
  std::vector<Tile> tiles;
  for (int a = 1; a <= ranks; ++a)
    if (ranks % a == 0) tiles.push_back({a, ranks / a});
  return tiles;
}

}  // namespace meshattn
