#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/base/error.h"
#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// No known order of a configuration keeps to its memory limit.
class MemoryLimitTooLow : public InvalidInput {
 public:
  MemoryLimitTooLow(const std::string& form, std::uint64_t limit, std::uint64_t least);
  /// Bytes, the least for which there is a plan.
  [[nodiscard]] std::uint64_t least() const { return least_; }

 private:
  std::uint64_t least_;
};

/// One pass, ready to run: ordered, pruned, memory assigned; not verified.
struct Phase {
  Configuration configuration;
  OrderedTile ordered_tile = {};  ///< its times are those of planned steps: 0 where the form fixes them
  Schedule schedule = {};
  OpTimes times = {};     ///< of the schedule's ops
  double estimate_s = 0;  ///< makespan by `estimate`: with kernels, merges, reuse waits and every rank's own links
  double planning_s = 0;  ///< wall time that this program took
};

/// Where each rank sits, and phases that run one after the other.
struct Plan {
  Placement placement;
  std::vector<Phase> phases;

  /// How the tokens are dealt, in every phase.
  [[nodiscard]] Partition partition() const { return phases.front().configuration.problem.partition; }
};

/// Plans one pass. Orders that are equally fast in the one-lane model differ once merging and memory have their price.
/// So without a given order the fastest by estimate of all is taken, and of leaner variants of each; of equals the
/// leanest. `choose_slices` does not count.
/// @throws InvalidInput on a form that does not fit, an order where the algorithm or its form fixes the steps, or a
/// schedule too large to hold; MemoryLimitTooLow, with the least that can be kept to.
[[nodiscard]] Phase plan_phase(const Configuration& configuration, const Network& network, const CostModel& cost);

/// The forms of the phases: "4x8" or, where they differ, "4x8 forward, 8x4 backward".
[[nodiscard]] std::string forms_text(const Plan& plan);

}  // namespace meshattn
