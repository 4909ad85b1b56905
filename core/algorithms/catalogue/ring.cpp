#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// Ring-Attention: the tile 1×n. Keys and values go round all ranks; queries stay.
Algorithm ring() {
  return {.name = "ring",
          .summary = "Ring-Attention: keys and values go round all ranks (arXiv 2310.01889); the tile 1xN",
          .options = {Option::kExchange, Option::kSlices},
          .form = [](const FormRequest& request) {
            const Travel exchange = exchange_of(request);
            return MeshForm{.tile = fixed_tile(request, {1, request.problem.ranks}), .in = exchange, .out = exchange};
          }};
}

}  // namespace meshattn::catalogue
