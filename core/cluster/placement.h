#pragma once

#include <string>
#include <vector>

namespace meshattn {

/// The GPU of each rank. GPUs are numbered node after node.
struct Placement {
  std::string name;      ///< "linear", "grid:2x4"
  std::vector<int> gpu;  ///< by rank: a permutation of 0 … ranks − 1
};

/// Rank r on GPU r. @throws InvalidInput if `ranks` is below 1 or above the maximum of a problem.
[[nodiscard]] Placement linear_placement(int ranks);

}  // namespace meshattn
