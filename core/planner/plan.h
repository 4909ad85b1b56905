#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/order/order.h"
#include "core/base/error.h"
#include "core/cluster/network.h"
#include "core/execution/cost_model.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// What to plan.
struct PlanRequest {
  Problem problem;
  Method method;
  std::optional<Order> order = std::nullopt;  ///< none: whichever is estimated to be the fastest
  Dtype wire = Dtype::kFp32;                  ///< in which partial results travel
  std::uint64_t memory_limit = UINT64_MAX;    ///< bytes of attention values on any rank
};

/// No known order of a method keeps to a memory limit.
class MemoryLimitTooLow : public InvalidInput {
 public:
  MemoryLimitTooLow(const std::string& form, std::uint64_t limit, std::uint64_t least);
  /// Bytes, the least for which there is a plan.
  [[nodiscard]] std::uint64_t least() const { return least_; }

 private:
  std::uint64_t least_;
};

/// A schedule ready to run: ordered, pruned, memory assigned; not validated.
struct Plan {
  OrderedTile tile_plan;  ///< its times are those of planned steps: 0 where the method fixes them
  Schedule schedule;
  double estimate_s = 0;  ///< makespan by `estimate`: with kernels, merges, reuse waits and every rank's own links
};

/// Orders that are equally fast in the one-lane model differ once merging and memory have their price. So without a
/// given order the fastest by estimate of all is taken, and of leaner variants of each; of equals the leanest.
/// @throws InvalidInput on a method that does not fit, an order where the method fixes the steps, or a schedule too
/// large to hold; MemoryLimitTooLow, with the least that can be kept to.
[[nodiscard]] Plan make_plan(const PlanRequest& request, const Network& network, const CostModel& cost);

}  // namespace meshattn
