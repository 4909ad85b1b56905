#pragma once

#include <cstdint>
#include <vector>

#include "core/cluster/network.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Data that ranks receive, in all and from other nodes. Averages and maxima are over all ranks. Chunks count without
/// log-sum-exp and delta, in chunks of Q (see chunk_bytes).
struct Volume {
  double bytes_received_avg = 0;
  std::uint64_t bytes_received_max = 0;
  double chunks_received_avg = 0;
  double inter_node_bytes_avg = 0;
  std::uint64_t inter_node_bytes_max = 0;
  double inter_node_chunks_avg = 0;
  double inter_node_chunks_max = 0;
};

[[nodiscard]] Volume volume_of(const Schedule& schedule, const Network& network);

}  // namespace meshattn
