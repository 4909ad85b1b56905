#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// Attention2D: the mesh without its overlap. A rank gathers the queries and keys of its tile, attends them as one
/// block, and reduce-scatters the result.
Algorithm attention_2d() {
  return {.name = "attention-2d",
          .summary = "gathers a mesh tile's queries and keys, one block, reduce-scatter (arXiv 2503.15758)",
          .options = {Option::kTile, Option::kSlices},
          .form =
              [](const FormRequest& request) {
                return MeshForm{.tile = given_tile(request, tiles_of(request.problem.ranks)),
                                .in = Travel::kGather,
                                .out = Travel::kGather,
                                .steps = Steps::kGathered};
              },
          .variants = [](const Problem& p, const Options& given) { return with_each_tile(given, p.ranks); }};
}

}  // namespace meshattn::catalogue
