#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// LoongTrain: inner rings within nodes, and a ring of these; optionally Ulysses below.
Algorithm double_ring() {
  return {.name = "double-ring",
          .summary = "LoongTrain's ring of rings: inner ones within nodes (arXiv 2406.18485)",
          .options = {Option::kUlysses, Option::kInner, Option::kSlices},
          .form = [](const FormRequest& request) {
            const int ulysses = request.options.ulysses ? given_ulysses(request) : 1;
            const int length = request.problem.ranks / ulysses;
            return MeshForm{.tile = fixed_tile(request, {1, length}),
                            .ulysses = ulysses,
                            .steps = Steps::kRing,
                            .inner = inner_of(request, length)};
          }};
}

}  // namespace meshattn::catalogue
