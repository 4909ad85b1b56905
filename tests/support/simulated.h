#pragma once

#include <string>
#include <vector>

#include "core/cluster/cluster_file.h"
#include "core/planner/plan.h"
#include "sim/simulator.h"

namespace meshattn::testing {

/// A cluster of topologies/, with settings as on the command line.
inline Cluster cluster_of(const std::string& name, const std::vector<std::string>& settings = {}) {
  return read_cluster(name, MESHATTN_SOURCE_DIR "/topologies", settings);
}

/// Chunks of 4,096 tokens, 32 heads of 128, MHA; zigzag under the causal mask.
inline Configuration request_of(int ranks, Tile tile, Pass pass, const Mask& mask) {
  Configuration r;
  r.problem = {{ranks * 4096L, ranks * 4096L, 1, 32, 32, 128, Dtype::kBf16},
               mask,
               mask == Mask::kCausal ? Partition::kZigzag : Partition::kContiguous,
               pass,
               ranks};
  r.form.tile = tile;
  return r;
}

/// Simulated makespan, seconds. @throws SimulationError if the simulation fails.
inline double simulated_s(const Schedule& schedule, const Network& network, const CostModel& cost) {
  return sim::simulate_in_child(schedule, network, cost.times(schedule)).makespan_s;
}

}  // namespace meshattn::testing
