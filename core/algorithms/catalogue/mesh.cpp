#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// Mesh-Attention: every rank attends a tile of a query chunks × b key/value chunks, and both move. Steps are ordered
/// by core/algorithms/order/.
Algorithm mesh() {
  return {.name = "mesh",
          .summary = "Mesh-Attention: an AxB tile a rank, queries and keys both move (arXiv 2512.20968)",
          .options = {Option::kTile, Option::kExchange, Option::kSlices},
          .form =
              [](const FormRequest& request) {
                const Travel exchange = exchange_of(request);
                return MeshForm{
                    .tile = given_tile(request, tiles_of(request.problem.ranks)), .in = exchange, .out = exchange};
              },
          .variants = [](const Problem& p, const Options& given) { return with_each_tile(given, p.ranks); }};
}

}  // namespace meshattn::catalogue
