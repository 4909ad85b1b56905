#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// Llama 3: all keys and values are gathered, then attended as one block; backward gradients are reduce-scattered.
Algorithm all_gather() {
  return {.name = "all-gather",
          .summary = "Llama 3's all-gather of keys and values, then one block (arXiv 2407.21783)",
          .options = {Option::kExchange, Option::kSlices},
          .form = [](const FormRequest& request) {
            // Nothing is attended between direct exchanges that gather: they are one.
            const Travel exchange = exchange_of(request) == Travel::kDirect ? Travel::kGather : Travel::kRing;
            return MeshForm{.tile = fixed_tile(request, {1, request.problem.ranks}),
                            .in = exchange,
                            .out = exchange,
                            .steps = Steps::kGathered};
          }};
}

}  // namespace meshattn::catalogue
