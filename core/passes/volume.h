#pragma once

#include <cstdint>
#include <vector>

#include "core/schedule.h"

namespace meshattn {

/// What ranks receive. Averages are over all ranks.
struct Volume {
  double bytes_received_avg = 0;
  std::uint64_t bytes_received_max = 0;
  double chunks_received_avg = 0;  ///< without log-sum-exp and delta, in chunks of Q (see chunk_bytes)
  double inter_node_bytes_avg = 0;
  std::uint64_t inter_node_bytes_max = 0;
};

/// `ranks_per_node` neighbours share a node.
[[nodiscard]] Volume volume_of(const Schedule& schedule, int ranks_per_node);

}  // namespace meshattn
