#include "core/algorithms/choose.h"

namespace meshattn::catalogue {

/// A ring whose backward accumulators of dKV leave home with their KV, a hop behind, and so take n hops instead of
/// n − 1.
Algorithm ring_flash() {
  return {.name = "ring-flash",
          .summary = "the ring of zhuzilin/ring-flash-attention: backward dKV starts at home, a hop behind KV, N hops",
          .options = {Option::kSlices},
          .form = [](const FormRequest& request) {
            return MeshForm{.tile = fixed_tile(request, {1, request.problem.ranks}),
                            .steps = Steps::kRing,
                            .starts_at_owner = true};
          }};
}

}  // namespace meshattn::catalogue
