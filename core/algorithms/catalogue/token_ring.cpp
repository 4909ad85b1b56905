#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// TokenRing: the tile n×1. Queries go round, and each partial goes straight to its owner.
Algorithm token_ring() {
  return {.name = "token-ring",
          .summary = "TokenRing: queries go round, partial results straight home (arXiv 2412.20501); the tile Nx1",
          .options = {Option::kSlices},
          .form = [](const FormRequest& request) {
            return MeshForm{.tile = fixed_tile(request, {request.problem.ranks, 1}), .out = Travel::kDirect};
          }};
}

}  // namespace meshattn::catalogue
