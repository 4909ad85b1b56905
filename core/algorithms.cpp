#include "core/algorithms.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"

namespace meshattn {

namespace {

constexpr std::array kAlgorithms{
    Algorithm{"ring", "Ring-Attention: keys and values go round all ranks (arXiv 2310.01889); the tile 1xN"},
    Algorithm{.name = "double-ring",
              .summary = "LoongTrain's ring of rings: inner ones within nodes (arXiv 2406.18485)",
              .takes_ulysses = true,
              .takes_inner = true},
    Algorithm{.name = "burst",
              .summary = "BurstAttention: a double ring; backward moves Q, dO and dQ instead of KV (arXiv 2403.09347)",
              .takes_inner = true},
    Algorithm{.name = "token-ring",
              .summary = "TokenRing: queries go round, partial results straight home (arXiv 2412.20501); the tile Nx1",
              .forward_only = true},
    Algorithm{.name = "pass-q",
              .summary = "queries go round, partial results home at the end (arXiv 2411.01783); for a cached prefix",
              .forward_only = true},
    Algorithm{"all-gather", "Llama 3's all-gather of keys and values, then one block (arXiv 2407.21783)"},
    Algorithm{.name = "light-seq",
              .summary = "DistFlashAttn's balanced causal schedule on contiguous chunks (arXiv 2310.03294)",
              .generator = Generator::kLightSeq},
    Algorithm{.name = "tasp",
              .summary = "keys and values in N-1 parts on arc-disjoint Hamiltonian rings (arXiv 2509.26541)",
              .forward_only = true,
              .generator = Generator::kTasp},
    Algorithm{"ulysses", "DeepSpeed-Ulysses: heads instead of tokens, by all-to-all (arXiv 2309.14509)"},
    Algorithm{.name = "usp", .summary = "Ulysses x ring (arXiv 2405.07719)", .takes_ulysses = true},
    Algorithm{
        .name = "star-trail",
        .summary = "StarTrail: teams of A gather, team-KV in sub-rings (arXiv 2407.00611); the volume of tile AxB",
        .takes_tile = true,
        .generator = Generator::kStarTrail},
    Algorithm{.name = "attention-2d",
              .summary = "gathers a mesh tile's queries and keys, one block, reduce-scatter (arXiv 2503.15758)",
              .takes_tile = true},
    Algorithm{.name = "mesh",
              .summary = "Mesh-Attention: an AxB tile a rank, queries and keys both move (arXiv 2512.20968)",
              .takes_tile = true},
    Algorithm{.name = "ulysses-mesh",
              .summary = "Ulysses x mesh: heads shared out among U ranks, a mesh over the places",
              .takes_tile = true,
              .takes_ulysses = true},
};

/// What is asked of `method_of`, with the words for refusing it.
struct Asked {
  const Algorithm& algorithm;
  const Problem& problem;
  const Choices& choices;
  int gpus_per_node;

  [[nodiscard]] int ranks() const { return problem.ranks; }
};

std::string listed(const auto& items, auto&& text) {
  std::string list;
  for (const auto& item : items) list += (list.empty() ? "" : ", ") + text(item);
  return list;
}

std::string tile_name(Tile t) { return fmt::format("{}x{}", t.rows, t.columns); }

/// How many ranks share out the heads.
int ulysses_of(const Asked& asked) {
  const auto& [algorithm, problem, choices, per_node] = asked;
  if (algorithm.name == "ulysses") return problem.ranks;
  if (!algorithm.takes_ulysses) return 1;
  if (!choices.ulysses) {
    if (algorithm.name == "double-ring") return 1;
    throw InvalidInput(fmt::format("{} needs --ulysses U, how many neighbours share out the heads", algorithm.name));
  }
  if (*choices.ulysses < 1 || problem.ranks % *choices.ulysses != 0)
    throw InvalidInput(fmt::format("--ulysses {} does not divide {} ranks", *choices.ulysses, problem.ranks));
  return *choices.ulysses;
}

Tile tile_of(const Asked& asked, int places) {
  const auto& [algorithm, problem, choices, per_node] = asked;
  if (!algorithm.takes_tile) {
    const bool queries_move = algorithm.name == "token-ring" || algorithm.name == "pass-q" ||
                              (algorithm.name == "burst" && problem.pass == Pass::kBackward);
    const Tile fixed = queries_move ? Tile{places, 1} : Tile{1, places};
    if (choices.tile && *choices.tile != fixed)
      throw InvalidInput(fmt::format("{} {} on {} ranks is the tile {}, not {}: use --algorithm mesh", algorithm.name,
                                     name_of(problem.pass), problem.ranks, tile_name(fixed), tile_name(*choices.tile)));
    return fixed;
  }
  const std::string possible = listed(tiles_of(places), tile_name);
  const std::string where = places == problem.ranks
                                ? fmt::format("{} ranks", places)
                                : fmt::format("{} places of {} ranks", places, problem.ranks / places);
  if (!choices.tile)
    throw InvalidInput(fmt::format("{} needs --tile AxB: on {} one of {}", algorithm.name, where, possible));
  const Tile given = *choices.tile;
  if (given.rows < 1 || given.columns < 1 || given.rows > places || given.rows * given.columns != places)
    throw InvalidInput(fmt::format("tile {} does not make {}: possible are {}", tile_name(given), where, possible));
  return given;
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
  const bool mesh = algorithm.generator == Generator::kMesh;
  refuse(choices.ulysses.has_value(), algorithm.takes_ulysses, "--ulysses");
  refuse(choices.inner.has_value(), algorithm.takes_inner, "--inner");
  const bool fixed_travel = algorithm.takes_inner || algorithm.name == "attention-2d" ||
                            algorithm.name == "token-ring" || algorithm.name == "pass-q" || algorithm.name == "ulysses";
  refuse(choices.travel.has_value(), mesh && !fixed_travel, "--exchange");
  refuse(choices.slices != 1, mesh, "--slices");
  if (algorithm.forward_only && problem.pass == Pass::kBackward)
    throw InvalidInput(fmt::format("{} is known for the forward pass alone", algorithm.name));
}

/// How things travel, and in which steps, unless they are planned on rings.
void set_travel(const Asked& asked, Method& method) {
  MeshForm& form = method.form;
  const std::string_view name = asked.algorithm.name;
  const Travel travel = asked.choices.travel.value_or(Travel::kRing);
  form.in = form.out = travel;
  if (asked.algorithm.takes_inner) form.steps = Steps::kDouble;
  if (name == "all-gather" || name == "attention-2d" || name == "ulysses") form.steps = Steps::kGathered;
  if (name == "attention-2d" || (name == "all-gather" && travel == Travel::kDirect))
    form.in = form.out = Travel::kGather;
  if (name == "token-ring") form.out = Travel::kDirect;
  if (name == "pass-q") {
    form.out = Travel::kGather;
    method.order = Order::kNaive;
  }
}

}  // namespace

std::span<const Algorithm> algorithms() { return kAlgorithms; }

const Algorithm& algorithm_of(std::string_view name) {
  const auto known = std::ranges::find(kAlgorithms, name, &Algorithm::name);
  if (known != kAlgorithms.end()) return *known;
  const auto name_of = [](const Algorithm& a) { return std::string(a.name); };
  throw InvalidInput(fmt::format("unknown algorithm '{}': possible are {}", name, listed(kAlgorithms, name_of)));
}

Method method_of(std::string_view name, const Problem& problem, const Choices& choices, int gpus_per_node) {
  const Asked asked{algorithm_of(name), problem, choices, gpus_per_node};
  refuse_what_is_not_taken(asked);
  Method method{asked.algorithm.name, asked.algorithm.generator, {}, {}};
  method.form.ulysses = ulysses_of(asked);
  method.form.tile = tile_of(asked, problem.ranks / method.form.ulysses);
  method.form.inner = inner_of(asked, method.form.ulysses);
  method.form.slices = choices.slices;
  if (method.generator != Generator::kMesh) return method;
  set_travel(asked, method);
  check(method.form, problem);
  return method;
}

Problem cut_for(const Method& method, Problem problem) {
  if (method.generator == Generator::kTasp) problem.cuts = std::max(1, problem.ranks - 1);
  return problem;
}

std::vector<Choices> choices_of(const Algorithm& algorithm, const Problem& problem) {
  std::vector<std::optional<int>> shares{std::nullopt};
  if (algorithm.takes_ulysses && !algorithm.takes_inner) {
    shares.clear();
    for (int u = 2; u < problem.ranks && u <= problem.shape.heads; ++u)
      if (problem.ranks % u == 0) shares.emplace_back(u);
  }
  std::vector<Choices> all;
  for (const std::optional<int> ulysses : shares) {
    if (!algorithm.takes_tile) all.push_back({.ulysses = ulysses});
    // A tile of one row is a ring, and has a line of its own.
    for (Tile tile : tiles_of(problem.ranks / ulysses.value_or(1)))
      if (algorithm.takes_tile && tile.rows > 1) all.push_back({.tile = tile, .ulysses = ulysses});
  }
  return all;
}

std::vector<Tile> tiles_of(int ranks) {
  std::vector<Tile> tiles;
  for (int a = 1; a <= ranks; ++a)
    if (ranks % a == 0) tiles.push_back({a, ranks / a});
  return tiles;
}

std::string text_of(const MeshForm& form) {
  std::string text = tile_name(form.tile);
  if (form.ulysses > 1) text = fmt::format("{} x {}", form.ulysses, text);
  if (form.inner > 0) text += fmt::format(", inner {}", form.inner);
  if (form.slices > 1) text += fmt::format(", {} slices", form.slices);
  return text;
}

}  // namespace meshattn
