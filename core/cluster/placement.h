#pragma once

#include <string>
#include <vector>

namespace meshattn {

/// Which GPU each rank sits on. GPUs are numbered node after node.
struct Placement {
  std::string name;      ///< as `--placement` says it: "linear", "grid:2x4"
  std::vector<int> gpu;  ///< by rank: a permutation of 0 … ranks − 1
};

/// Rank r on GPU r. @throws InvalidInput if there are no ranks or more than a problem may have.
[[nodiscard]] Placement linear_placement(int ranks);

}  // namespace meshattn
