#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// Unified sequence parallelism: neighbours share out the heads, and each share is a ring over the slots.
Algorithm usp() {
  return {.name = "usp",
          .summary = "Ulysses x ring (arXiv 2405.07719)",
          .options = {Option::kUlysses, Option::kExchange, Option::kSlices},
          .form =
              [](const FormRequest& request) {
                const int ulysses = given_ulysses(request);
                const Travel exchange = exchange_of(request);
                return MeshForm{.tile = fixed_tile(request, {1, request.problem.ranks / ulysses}),
                                .ulysses = ulysses,
                                .in = exchange,
                                .out = exchange};
              },
          .variants = with_each_ulysses};
}

}  // namespace meshattn::catalogue
