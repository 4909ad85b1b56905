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

/// Wall time of this program's own work, seconds.
struct WallTimes {
  double plan_s = 0;
  double verify_s = 0;
  double simulate_s = 0;
};

/// Lower bounds of the makespan of this schedule on this placement.
struct Bounds {
  double compute_s = 0;       ///< of the busiest rank: see busiest_compute_s
  double busiest_link_s = 0;  ///< bytes over the busiest link / its bandwidth
  std::string busiest_link;   ///< empty if nothing moves; the names of both phases if they differ
};

/// Use of one link by a schedule.
struct LinkUse {
  std::string name;
  double bytes = 0;
  double busy_s = 0;       ///< bytes / bandwidth
  double utilisation = 0;  ///< busy_s / makespan
};

/// A cause of idle compute lanes.
struct Wait {
  /// Tensors that arrive ("KV", "Q+dO+delta"); "memory" that is freed; the "start" of an op that could run (a measured
  /// op does not start at once, and a host may be late with it or with its last kernels); or the "end" of other ranks.
  std::string what;
  double seconds = 0;  ///< mean over ranks
  double share = 0;    ///< fraction of all idle time
};

/// Results of one schedule on one cluster. The keys of `--json` are a contract: summary_keys.h lists them.
struct Summary {
  std::string placed;  ///< name of the placement
  int slices = 1;      ///< slices that the heads are cut into
  double makespan_s = 0;
  /// Makespans on the slow end and the fast end of the cluster (see uncertainty.h); empty if unknown.
  std::vector<double> corners_s;
  double compute_s = 0;        ///< busy time of the busiest compute lane
  double waiting = 0;          ///< 1 − mean busy time / makespan
  double compute_balance = 1;  ///< busiest / mean
  Bounds bounds;
  double problem_bound_s = 0;  ///< see problem_bound_s()
  Volume volume;
  std::uint64_t peak_bytes = 0;
  std::uint64_t transfers = 0;
  std::uint64_t ops = 0;
  WallTimes wall;
  std::vector<LinkUse> links;  ///< links that carry bytes, busiest first
  std::vector<Wait> waits;     ///< longest first; shares add up to 1 unless there are none
};

/// A lower bound, seconds, for all algorithms, tiles and placements. It assumes that every rank (or processor, if there
/// are fewer) computes an equal share at the best known rate of this GPU, and that communication is free.
[[nodiscard]] double problem_bound_s(const Problem& problem, const Network& network, const CostModel& cost);

/// Summarises a trace of the schedule, with CostModel `cost` for times that are not in the trace.
[[nodiscard]] Summary summarise(const Schedule& schedule, const Network& network, const CostModel& cost,
                                const OpTimes& times, const Trace& trace, const WallTimes& wall);

/// The smallest and the largest makespan within the uncertainty of the cluster's figures.
[[nodiscard]] std::pair<double, double> range_s(const Summary& summary);

/// Two phases that run one after the other on one placement: each key adds up as summary_keys.h says.
[[nodiscard]] Summary one_after_other(const Summary& first, const Summary& second);

/// The larger of the two bounds, if it reaches three quarters of the makespan: "compute" or the name of the busiest
/// link. Otherwise "latency": start-up, order and dependencies decide.
[[nodiscard]] std::string near_bound(const Summary& summary);

}  // namespace meshattn
