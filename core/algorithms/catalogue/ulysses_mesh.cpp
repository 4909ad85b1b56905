#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// Neighbours share out the heads, and each share is a mesh over the slots.
Algorithm ulysses_mesh() {
  return {.name = "ulysses-mesh",
          .summary = "Ulysses x mesh: heads shared out among U ranks, a mesh over the slots",
          .options = {Option::kTile, Option::kUlysses, Option::kExchange, Option::kSlices},
          .form =
              [](const FormRequest& request) {
                const int ulysses = given_ulysses(request);
                const Travel exchange = exchange_of(request);
                return MeshForm{.tile = given_tile(request, tiles_of(request.problem.ranks / ulysses)),
                                .ulysses = ulysses,
                                .in = exchange,
                                .out = exchange};
              },
          .variants =
              [](const Problem& problem, const Options& given) {
                std::vector<Options> all;
                for (const Options& options : with_each_ulysses(problem, given))
                  for (const Options& with_tile : with_each_tile(options, problem.ranks / *options.ulysses))
                    all.push_back(with_tile);
                return all;
              }};
}

}  // namespace meshattn::catalogue
