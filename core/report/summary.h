#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/report/volume.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// Seconds that this program itself took.
struct WallTimes {
  double plan_s = 0;
  double verify_s = 0;
  double simulate_s = 0;
};

/// What no timing of this schedule on this placement can beat.
struct Bounds {
  double compute_s = 0;       ///< compute of the rank that has most
  double busiest_link_s = 0;  ///< bytes over a link / its bandwidth, most of all links
  std::string busiest_link;   ///< empty if nothing moves; of two passes both, if they differ
};

struct LinkUse {
  std::string name;
  double bytes = 0;
  double busy_s = 0;       ///< bytes / bandwidth
  double utilisation = 0;  ///< busy_s / makespan
};

/// What idle compute lanes waited for.
struct Wait {
  /// Tensors to arrive ("KV", "Q+dO+delta"), "memory" to be free again, an op that could run to "start" (measured ones
  /// do not at once, and a host may be late with it or with its last kernels), or the other ranks to "end".
  std::string what;
  double seconds = 0;  ///< mean over ranks
  double share = 0;    ///< of all idle time
};

/// What came out of one schedule on one cluster: the contract of `--json`, key by key.
struct Summary {
  std::string placed;  ///< name of the placement that it ran with
  int slices = 1;      ///< that the heads were cut into; of two passes the most
  double makespan_s = 0;
  /// Makespans of this schedule on the cluster as slow and as fast as it may be (see uncertainty_ends); empty if
  /// unknown.
  std::vector<double> corners_s;
  double compute_s = 0;        ///< busy time of the busiest rank's compute lane
  double waiting = 0;          ///< 1 − mean busy time / makespan
  double compute_balance = 1;  ///< busiest / mean
  Bounds bounds;
  double problem_bound_s = 0;  ///< see problem_bound_s()
  Volume volume;
  std::uint64_t peak_bytes = 0;
  std::uint64_t transfers = 0;
  std::uint64_t ops = 0;
  WallTimes wall;
  std::vector<LinkUse> links;  ///< all that carry bytes, busiest first
  std::vector<Wait> waits;     ///< longest first; shares add up to 1 if anything waited
};

/// No algorithm, tile or placement is faster. Assumes that every rank (or processor, if there are fewer) computes the
/// same share at the best rate that this GPU is known for, and that communication is free.
[[nodiscard]] double problem_bound_s(const Problem& problem, const Network& network, const CostModel& cost);

[[nodiscard]] Summary summarise(const Schedule& schedule, const Network& network, const CostModel& cost,
                                const Trace& trace, const WallTimes& wall);

/// The least and the largest makespan that the spread of the cluster's figures leaves possible.
[[nodiscard]] std::pair<double, double> range_s(const Summary& summary);

/// One schedule after the other, on one placement: times, volumes and counts added, the larger peak.
[[nodiscard]] Summary one_after_other(const Summary& first, const Summary& second);

/// Which bound the makespan is near (within a quarter): "compute", the name of the busiest link, or "latency" when
/// neither, so that start-up, order and dependencies decide.
[[nodiscard]] std::string near_bound(const Summary& summary);

}  // namespace meshattn
