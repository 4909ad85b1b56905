#include "core/algorithms/choose.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/invalid_option.h"

namespace meshattn {

namespace {

std::optional<Tile> tile_for_pass(const FormRequest& request) {
  const Options& options = request.options;
  return request.problem.pass == Pass::kBackward && options.tile_backward ? options.tile_backward : options.tile;
}

}  // namespace

Tile fixed_tile(const FormRequest& request, Tile tile, std::optional<Tile> other) {
  const std::optional<Tile> given = tile_for_pass(request);
  if (given && given != tile && given != other)
    throw InvalidOption(
        fmt::format("{} {} on {} ranks is the tile {}, not {}: use ", request.algorithm.name,
                    name_of(request.problem.pass), request.problem.ranks, tile_text(tile), tile_text(*given)),
        "algorithm", " mesh");
  return tile;
}

Tile given_tile(const FormRequest& request, const std::vector<Tile>& possible) {
  std::string list;
  for (Tile tile : possible) list += (list.empty() ? "" : ", ") + tile_text(tile);
  const int ranks = request.problem.ranks;
  const int slots = possible.empty() ? ranks : possible.front().rows * possible.front().columns;
  const std::string where =
      slots == ranks ? fmt::format("{} ranks", ranks) : fmt::format("{} slots of {} ranks", slots, ranks / slots);
  const std::optional<Tile> given = tile_for_pass(request);
  if (!given)
    throw InvalidOption(fmt::format("{} needs ", request.algorithm.name), name_of(Option::kTile),
                        fmt::format(" AxB: on {} one of {}", where, list));
  if (std::ranges::find(possible, *given) == possible.end())
    throw InvalidInput(fmt::format("tile {} does not make {}: possible are {}", tile_text(*given), where, list));
  return *given;
}

int given_ulysses(const FormRequest& request) {
  const auto& [algorithm, problem, options, gpus_per_node] = request;
  if (!options.ulysses)
    throw InvalidOption(fmt::format("{} needs ", algorithm.name), name_of(Option::kUlysses),
                        " U, how many neighbours share out the heads");
  if (*options.ulysses < 1 || problem.ranks % *options.ulysses != 0)
    throw InvalidOption("", name_of(Option::kUlysses),
                        fmt::format(" {} does not divide {} ranks", *options.ulysses, problem.ranks));
  return *options.ulysses;
}

int inner_of(const FormRequest& request, int length) {
  const auto& [algorithm, problem, options, gpus_per_node] = request;
  const int inner = options.inner ? *options.inner : gpus_per_node / (problem.ranks / length);
  if (inner >= 1 && length % inner == 0 && (options.inner || inner < length)) return inner;
  if (options.inner) throw InvalidInput(fmt::format("inner rings of {} do not make up a ring of {}", inner, length));
  throw InvalidOption(fmt::format("{} on {} ranks has no nodes for its inner rings: give their length with ",
                                  algorithm.name, problem.ranks),
                      name_of(Option::kInner), "");
}

Travel exchange_of(const FormRequest& request) { return request.options.exchange.value_or(Travel::kRing); }

std::vector<Options> with_each_tile(const Options& given, int slots) {
  std::vector<Tile> tiles = tiles_of(slots);
  if (given.tile) return {given};
  if (tiles.size() > 1) tiles.erase(tiles.begin());
  std::vector<Options> all;
  for (Tile tile : tiles) all.emplace_back(given).tile = tile;
  return all;
}

std::vector<Options> with_each_ulysses(const Problem& problem, const Options& given) {
  if (given.ulysses) return {given};
  std::vector<Options> all;
  for (int u = 2; u < problem.ranks && u <= problem.shape.heads; ++u)
    if (problem.ranks % u == 0) all.emplace_back(given).ulysses = u;
  if (!all.empty()) return all;
  int least = std::min(2, problem.ranks);
  while (problem.ranks % least != 0) ++least;
  all.emplace_back(given).ulysses = least;
  return all;
}

}  // namespace meshattn
