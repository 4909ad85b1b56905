#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// BurstAttention: forward a double ring of keys and values; backward one of Q, dO and delta, with dQ a hop behind,
/// while keys and values stay.
Algorithm burst() {
  return {.name = "burst",
          .summary = "BurstAttention: a double ring; backward moves Q, dO and dQ instead of KV (arXiv 2403.09347)",
          .options = {Option::kInner, Option::kSlices},
          .form = [](const FormRequest& request) {
            const int n = request.problem.ranks;
            // A tile that is given for both passes may turn between them.
            const bool turns = request.problem.pass == Pass::kBackward && !request.options.tile_backward;
            const Tile tile = request.problem.pass == Pass::kForward
                                  ? fixed_tile(request, {1, n})
                                  : fixed_tile(request, {n, 1}, turns ? std::optional(Tile{1, n}) : std::nullopt);
            return MeshForm{.tile = tile, .steps = Steps::kRing, .inner = inner_of(request, n)};
          }};
}

}  // namespace meshattn::catalogue
