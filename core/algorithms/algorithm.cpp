#include "core/algorithms/algorithm.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/algorithms/mesh.h"
#include "core/base/enum_names.h"
#include "core/base/invalid_option.h"

namespace meshattn {

namespace {

constexpr EnumNames<Option, 5> kOptions{{{Option::kTile, "tile"},
                                         {Option::kUlysses, "ulysses"},
                                         {Option::kInner, "inner"},
                                         {Option::kExchange, "exchange"},
                                         {Option::kSlices, "slices"}}};

/// A tile is no such option: a ring may be given the tile that it is.
void refuse_options_not_taken(const Algorithm& algorithm, const Options& options) {
  const std::pair<Option, bool> given[] = {{Option::kUlysses, options.ulysses.has_value()},
                                           {Option::kInner, options.inner.has_value()},
                                           {Option::kExchange, options.exchange.has_value()},
                                           {Option::kSlices, options.slices != 1}};
  for (const auto& [option, is_given] : given)
    if (is_given && !algorithm.takes(option))
      throw InvalidOption(fmt::format("{} takes no ", algorithm.name), name_of(option), "");
}

}  // namespace

std::string_view name_of(Option option) { return kOptions.name_of(option); }

bool Algorithm::takes(Option option) const { return std::ranges::find(options, option) != options.end(); }

Schedule generate_mesh(const Configuration& c, std::span<const TileStep> steps) {
  return mesh(c.problem, c.form, steps, c.wire);
}

/// The fewest cuts, a power of two, with which what a window shows of other chunks is at most an eighth less than the
/// cells that it lies in. No more than leave blocks of at least four tokens, and cells that can be looked through two
/// by two for each part of the heads.
int cuts_for_window(const Problem& problem, const MeshForm& form) {
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

std::vector<Options> only_given(const Problem&, const Options& given) { return {given}; }

Configuration configure(const Algorithm& algorithm, const Problem& problem, const Options& options, int gpus_per_node) {
  refuse_options_not_taken(algorithm, options);
  if (algorithm.forward_only && problem.pass == Pass::kBackward)
    throw InvalidInput(fmt::format("{} is known for the forward pass alone", algorithm.name));
  Configuration c{.problem = problem, .algorithm = &algorithm};
  c.form = algorithm.form({algorithm, problem, options, gpus_per_node});
  if (c.form.is_mesh() != (algorithm.generate == generate_mesh))
    throw InvalidInput(
        fmt::format("{} must have Steps::kOwn if it generates schedules of its own, and only then", algorithm.name));
  c.form.slices = std::max(1, options.slices);
  c.choose_slices = options.slices == 0;
  check(c.form, problem);
  c.problem.cuts = 1;  // pieces() counts them
  c.problem.cuts = algorithm.cuts(c.problem, c.form);
  return c;
}

Configuration configure(std::string_view algorithm, const Problem& problem, const Options& options, int gpus_per_node) {
  return configure(algorithm_of(algorithm), problem, options, gpus_per_node);
}

Options options_for(const Algorithm& algorithm, Options options) {
  if (!algorithm.takes(Option::kTile)) options.tile = options.tile_backward = {};
  if (!algorithm.takes(Option::kUlysses)) options.ulysses = {};
  if (!algorithm.takes(Option::kInner)) options.inner = {};
  if (!algorithm.takes(Option::kExchange)) options.exchange = {};
  if (!algorithm.takes(Option::kSlices)) options.slices = 1;
  return options;
}

}  // namespace meshattn
