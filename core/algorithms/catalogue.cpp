#include "core/algorithms/catalogue.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/algorithms/others.h"
#include "core/base/error.h"
#include "core/base/format.h"

namespace meshattn {

namespace {

constexpr std::array kAlgorithms{
    Algorithm{.name = "ring",
              .summary = "Ring-Attention: keys and values go round all ranks (arXiv 2310.01889); the tile 1xN",
              .takes_exchange = true},
    Algorithm{
        .name = "ring-flash",
        .summary = "the ring of zhuzilin/ring-flash-attention: backward dKV starts at home, a hop behind KV, N hops",
        .carried = true,
        .steps = Steps::kDouble},
    Algorithm{.name = "double-ring",
              .summary = "LoongTrain's ring of rings: inner ones within nodes (arXiv 2406.18485)",
              .takes_ulysses = true,
              .takes_inner = true,
              .steps = Steps::kDouble},
    Algorithm{.name = "burst",
              .summary = "BurstAttention: a double ring; backward moves Q, dO and dQ instead of KV (arXiv 2403.09347)",
              .takes_inner = true,
              .moving = Moving::kKeysThenQueries,
              .steps = Steps::kDouble},
    Algorithm{.name = "token-ring",
              .summary = "TokenRing: queries go round, partial results straight home (arXiv 2412.20501); the tile Nx1",
              .moving = Moving::kQueries,
              .out = Travel::kDirect},
    Algorithm{.name = "pass-q",
              .summary = "Meta's pass-Q: queries go round, partial results go home at the end (arXiv 2411.01783)",
              .forward_only = true,
              .moving = Moving::kQueries,
              .out = Travel::kDirect,
              .order = Order::kNaive},
    Algorithm{.name = "all-gather",
              .summary = "Llama 3's all-gather of keys and values, then one block (arXiv 2407.21783)",
              .takes_exchange = true,
              .steps = Steps::kGathered},
    Algorithm{.name = "light-seq",
              .summary = "DistFlashAttn's balanced causal schedule on contiguous chunks (arXiv 2310.03294)",
              .generator = Generator::kLightSeq,
              .partition = Partition::kContiguous},
    Algorithm{.name = "tasp",
              .summary = "keys and values in N-1 parts on arc-disjoint Hamiltonian rings (arXiv 2509.26541)",
              .forward_only = true,
              .generator = Generator::kTasp},
    Algorithm{.name = "ulysses",
              .summary = "DeepSpeed-Ulysses: heads instead of tokens, by all-to-all (arXiv 2309.14509)",
              .one_place = true,
              .steps = Steps::kGathered},
    Algorithm{
        .name = "usp", .summary = "Ulysses x ring (arXiv 2405.07719)", .takes_ulysses = true, .takes_exchange = true},
    Algorithm{
        .name = "star-trail",
        .summary = "StarTrail: teams of A gather, team-KV in sub-rings (arXiv 2407.00611); the volume of tile AxB",
        .takes_tile = true,
        .generator = Generator::kStarTrail},
    Algorithm{.name = "attention-2d",
              .summary = "gathers a mesh tile's queries and keys, one block, reduce-scatter (arXiv 2503.15758)",
              .takes_tile = true,
              .in = Travel::kGather,
              .out = Travel::kGather,
              .steps = Steps::kGathered},
    Algorithm{.name = "mesh",
              .summary = "Mesh-Attention: an AxB tile a rank, queries and keys both move (arXiv 2512.20968)",
              .takes_tile = true,
              .takes_exchange = true},
    Algorithm{.name = "ulysses-mesh",
              .summary = "Ulysses x mesh: heads shared out among U ranks, a mesh over the places",
              .takes_tile = true,
              .takes_ulysses = true,
              .takes_exchange = true},
};

/// What is asked of `method_of`, with the words for refusing it.
struct Asked {
  const Algorithm& algorithm;
  const Problem& problem;
  const Choices& choices;
  int gpus_per_node;
};

std::string listed(const auto& items, auto&& text) {
  std::string list;
  for (const auto& item : items) list += (list.empty() ? "" : ", ") + text(item);
  return list;
}

/// Those of all tiles that an algorithm can have.
std::vector<Tile> possible_tiles(const Algorithm& algorithm, std::vector<Tile> tiles) {
  if (algorithm.generator == Generator::kStarTrail)
    std::erase_if(tiles, [](Tile tile) { return !star_trail_fits(tile.rows, tile.rows * tile.columns); });
  return tiles;
}

/// How many ranks share out the heads.
int ulysses_of(const Asked& asked) {
  const auto& [algorithm, problem, choices, per_node] = asked;
  if (algorithm.one_place) return problem.ranks;
  if (!algorithm.takes_ulysses) return 1;
  if (!choices.ulysses) {
    if (algorithm.takes_inner) return 1;
    throw InvalidInput(fmt::format("{} needs --ulysses U, how many neighbours share out the heads", algorithm.name));
  }
  if (*choices.ulysses < 1 || problem.ranks % *choices.ulysses != 0)
    throw InvalidInput(fmt::format("--ulysses {} does not divide {} ranks", *choices.ulysses, problem.ranks));
  return *choices.ulysses;
}

Tile tile_of(const Asked& asked, int places) {
  const auto& [algorithm, problem, choices, per_node] = asked;
  const std::optional<Tile> given =
      problem.pass == Pass::kBackward && choices.tile_backward ? choices.tile_backward : choices.tile;
  if (!algorithm.takes_tile) {
    const bool queries_move = algorithm.moving == Moving::kQueries ||
                              (algorithm.moving == Moving::kKeysThenQueries && problem.pass == Pass::kBackward);
    const Tile fixed = queries_move ? Tile{places, 1} : Tile{1, places};
    // A tile that is given for both passes may turn between them.
    const bool forward_tile =
        !choices.tile_backward && algorithm.moving == Moving::kKeysThenQueries && given == Tile{1, places};
    if (given && *given != fixed && !forward_tile)
      throw InvalidInput(fmt::format("{} {} on {} ranks is the tile {}, not {}: use --algorithm mesh", algorithm.name,
                                     name_of(problem.pass), problem.ranks, tile_text(fixed), tile_text(*given)));
    return fixed;
  }
  const std::vector<Tile> tiles = possible_tiles(algorithm, tiles_of(places));
  const std::string possible = listed(tiles, tile_text);
  const std::string where = places == problem.ranks
                                ? fmt::format("{} ranks", places)
                                : fmt::format("{} places of {} ranks", places, problem.ranks / places);
  if (!given) throw InvalidInput(fmt::format("{} needs --tile AxB: on {} one of {}", algorithm.name, where, possible));
  if (std::ranges::find(tiles, *given) == tiles.end())
    throw InvalidInput(fmt::format("tile {} does not make {}: possible are {}", tile_text(*given), where, possible));
  return *given;
}

int inner_of(const Asked& asked, int ulysses) {
  const auto& [algorithm, problem, choices, per_node] = asked;
  if (!algorithm.takes_inner) return 0;
  const int places = problem.ranks / ulysses;
  const int inner = choices.inner ? *choices.inner : per_node / ulysses;
  if (inner >= 1 && places % inner == 0 && (choices.inner || inner < places)) return inner;
  if (choices.inner) throw InvalidInput(fmt::format("inner rings of {} do not make up a ring of {}", inner, places));
  throw InvalidInput(fmt::format("{} on {} ranks has no nodes for its inner rings: give their length with --inner",
                                 algorithm.name, problem.ranks));
}

void refuse_what_is_not_taken(const Asked& asked) {
  const auto& [algorithm, problem, choices, per_node] = asked;
  const auto refuse = [&](bool given, bool taken, std::string_view option) {
    if (given && !taken) throw InvalidInput(fmt::format("{} takes no {}", algorithm.name, option));
  };
  refuse(choices.ulysses.has_value(), algorithm.takes_ulysses, "--ulysses");
  refuse(choices.inner.has_value(), algorithm.takes_inner, "--inner");
  refuse(choices.travel.has_value(), algorithm.takes_exchange, "--exchange");
  refuse(choices.slices != 1, algorithm.generator == Generator::kMesh, "--slices");
  if (algorithm.forward_only && problem.pass == Pass::kBackward)
    throw InvalidInput(fmt::format("{} is known for the forward pass alone", algorithm.name));
}

}  // namespace

std::span<const Algorithm> algorithms() { return kAlgorithms; }

std::string algorithm_names() {
  return listed(kAlgorithms, [](const Algorithm& a) { return std::string(a.name); });
}

const Algorithm& algorithm_of(std::string_view name) {
  const auto known = std::ranges::find(kAlgorithms, name, &Algorithm::name);
  if (known != kAlgorithms.end()) return *known;
  throw InvalidInput(fmt::format("unknown algorithm '{}': possible are {}", name, algorithm_names()));
}

Method method_of(std::string_view name, const Problem& problem, const Choices& choices, int gpus_per_node) {
  const Algorithm& algorithm = algorithm_of(name);
  const Asked asked{algorithm, problem, choices, gpus_per_node};
  refuse_what_is_not_taken(asked);
  Method method{algorithm.name, algorithm.generator, {}, algorithm.order, choices.slices == 0};
  MeshForm& form = method.form;
  form.ulysses = ulysses_of(asked);
  form.tile = tile_of(asked, problem.ranks / form.ulysses);
  form.inner = inner_of(asked, form.ulysses);
  form.slices = std::max(1, choices.slices);
  form.steps = algorithm.steps;
  form.carried = algorithm.carried;
  form.in = choices.travel.value_or(algorithm.in);
  form.out = choices.travel.value_or(algorithm.out);
  // Nothing is attended between direct exchanges that gather: they are one.
  if (choices.travel == Travel::kDirect && form.steps == Steps::kGathered) form.in = form.out = Travel::kGather;
  if (method.generator == Generator::kMesh) check(form, problem);
  return method;
}

namespace {

/// The fewest cuts, a power of two, with which what a window shows of other chunks is at most an eighth less than the
/// cells that it lies in; no more than make blocks of a few tokens, or take long to look through two by two, for each
/// part of the heads.
int cuts_of_window(const MeshForm& form, const Problem& problem) {
  constexpr double kMostExcess = 1.125, kMostPairs = 1 << 28;
  constexpr int kMostCuts = 64;
  const bool scattered = problem.partition == Partition::kStriped || deals_documents(problem.partition);
  if (problem.mask.window <= 1 || scattered || form.tile == Tile{1, 1}) return 1;
  const int cells = problem.pieces() * problem.ranks, parts = std::min(problem.shape.heads, form.ulysses * form.slices);
  const double queries = static_cast<double>(problem.shape.seq_q) / cells;
  const double keys = static_cast<double>(problem.shape.seq_kv) / cells;
  const auto shown = static_cast<double>(problem.mask.window - 1);
  int cuts = 1;
  while (std::ceil(shown * cuts / keys) * keys / cuts > kMostExcess * shown && cuts < kMostCuts &&
         std::pow(2.0 * cuts * cells, 2) * parts <= kMostPairs && queries >= 4 * cuts)
    cuts *= 2;
  return cuts;
}

}  // namespace

Problem cut_for(const Method& method, Problem problem) {
  problem.cuts = 1;  // pieces() counts them
  problem.cuts =
      method.generator == Generator::kTasp ? std::max(1, problem.ranks - 1) : cuts_of_window(method.form, problem);
  return problem;
}

Choices taken_by(const Algorithm& algorithm, Choices choices) {
  if (!algorithm.takes_tile) choices.tile = choices.tile_backward = {};
  if (!algorithm.takes_ulysses) choices.ulysses = {};
  if (!algorithm.takes_inner) choices.inner = {};
  if (!algorithm.takes_exchange) choices.travel = {};
  if (algorithm.generator != Generator::kMesh) choices.slices = 1;
  return choices;
}

namespace {

/// Ranks that may share out the heads: neither one nor all, each of which is another algorithm's, if there are others.
std::vector<int> shares_of(const Problem& problem) {
  std::vector<int> shares;
  for (int u = 2; u < problem.ranks && u <= problem.shape.heads; ++u)
    if (problem.ranks % u == 0) shares.push_back(u);
  if (!shares.empty()) return shares;
  int least = std::min(2, problem.ranks);
  while (problem.ranks % least != 0) ++least;
  return {least};
}

/// A tile of one row is a ring, and has a line of its own.
std::vector<Tile> tiles_to_compare(int places) {
  std::vector<Tile> tiles = tiles_of(places);
  if (tiles.size() > 1) tiles.erase(tiles.begin());
  return tiles;
}

}  // namespace

std::vector<Choices> choices_of(const Algorithm& algorithm, const Problem& problem, const Choices& given) {
  std::vector<Choices> with_shares{given};
  if (algorithm.takes_ulysses && !algorithm.takes_inner && !given.ulysses) {
    with_shares.clear();
    for (int u : shares_of(problem)) with_shares.emplace_back(given).ulysses = u;
  }
  if (!algorithm.takes_tile || given.tile) return with_shares;
  std::vector<Choices> all;
  for (const Choices& choices : with_shares)
    for (Tile tile : possible_tiles(algorithm, tiles_to_compare(problem.ranks / choices.ulysses.value_or(1))))
      all.emplace_back(choices).tile = tile;
  return all.empty() ? with_shares : all;
}

std::string text_of(const MeshForm& form) {
  std::string text = tile_text(form.tile);
  if (form.ulysses > 1) text = fmt::format("{} x {}", form.ulysses, text);
  if (form.inner > 0) text += fmt::format(", inner {}", form.inner);
  if (form.in == Travel::kDirect) text += ", direct";
  if (form.slices > 1) text += fmt::format(", {} slices", form.slices);
  return text;
}

}  // namespace meshattn
