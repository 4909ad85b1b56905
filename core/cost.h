#pragma once

#include "core/cluster.h"
#include "core/schedule.h"

namespace meshattn {

/// How long compute ops take on one GPU. The only place that turns an op into seconds; what sharing adds is the
/// simulator's.
class CostModel {
 public:
  CostModel(const GpuProfile& gpu, const Problem& problem);

  /// Seconds of an Attend, AttendBackward, Delta or Combine. An Exchange has no time of its own.
  [[nodiscard]] double seconds(const Schedule& schedule, const Op& op) const;

  /// Seconds of one kernel over `pairs` (query, key) pairs of each head, q_tokens × kv_tokens a batch item.
  [[nodiscard]] double attention_s(double pairs, double q_tokens, double kv_tokens, Mask mask) const;

  /// The best rate at which this GPU attends at all, by its points: no kernel here is taken to be faster.
  [[nodiscard]] double best_flops_per_s() const;

 private:
  GpuProfile gpu_;
  Problem problem_;
};

}  // namespace meshattn
