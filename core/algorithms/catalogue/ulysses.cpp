#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// DeepSpeed-Ulysses: all ranks are in one slot. An all-to-all turns chunks of tokens into shares of the heads, and
/// another one turns the results back.
Algorithm ulysses() {
  return {.name = "ulysses",
          .summary = "DeepSpeed-Ulysses: heads instead of tokens, by all-to-all (arXiv 2309.14509)",
          .options = {Option::kSlices},
          .form = [](const FormRequest& request) {
            return MeshForm{
                .tile = fixed_tile(request, {1, 1}), .ulysses = request.problem.ranks, .steps = Steps::kGathered};
          }};
}

}  // namespace meshattn::catalogue
