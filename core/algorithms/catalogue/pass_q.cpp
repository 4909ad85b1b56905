#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// Pass-Q: token-ring with all partials sent at the end, which is the naive order. Less to move than ring where a short
/// prompt follows a long cached prefix.
Algorithm pass_q() {
  return {.name = "pass-q",
          .summary = "Meta's pass-Q: queries go round, partial results go home at the end (arXiv 2411.01783)",
          .options = {Option::kSlices},
          .forward_only = true,
          .order = Order::kNaive,
          .form = [](const FormRequest& request) {
            return MeshForm{.tile = fixed_tile(request, {request.problem.ranks, 1}), .out = Travel::kDirect};
          }};
}

}  // namespace meshattn::catalogue
