#pragma once

#include <span>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/kernel_rates.h"
#include "core/cluster/network.h"
#include "core/execution/op_times.h"
#include "core/problem/block_map.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// How long compute ops take on one GPU. The only place that turns an op into seconds; what sharing adds is the
/// simulator's.
///
/// One Attend or AttendBackward is one kernel: the floating-point operations of its blocks at the profile's rates
/// (`KernelRates`), full ones and all others apart, these by the pairs that the mask leaves of them, plus a launch.
/// What a kernel contributes to a sum that has begun is merged into it, by moving the framework's merge_bytes (of a
/// gradient gradient_bytes) for each element of the tokens that it contributes to: one more kernel an op, which reads
/// the sum and the contribution and writes the sum. Combine and Delta move the bytes of what they make and of the part
/// that they read. A framework may copy what is exchanged by heads.
class CostModel {
 public:
  /// @throws InvalidInput if the profile has no rate and no point of the problem's pass and dtype.
  CostModel(const GpuProfile& gpu, const Problem& problem);

  [[nodiscard]] OpTimes times(const Schedule& schedule) const;

  /// Seconds of one kernel over `pairs` (query, key) pairs of each head, q_tokens × kv_tokens a batch item.
  [[nodiscard]] double attention_s(double pairs, double q_tokens, double kv_tokens, KernelMask mask) const;

  /// No kernel is taken to be faster.
  [[nodiscard]] double best_flops_per_s() const { return rates_.best_flops_per_s(); }

 private:
  /// The kernel that a rectangle is. Pairs are summed over heads, of one batch item.
  struct Kernel {
    double full_pairs = 0;
    double causal_pairs = 0;
    double q_tokens = 0;
    double kv_tokens = 0;
    double tiles = 1;
  };
  struct Rectangle {
    Kernel kernel;
    std::vector<double> rows, columns;  ///< tokens of each of which the mask leaves something
  };
  class Merges;

  [[nodiscard]] double kernel_s(const Kernel& kernel) const;
  template <typename Rows, typename Columns>
  [[nodiscard]] Rectangle rectangle_of(const Schedule& schedule, const Rows& rows, const Columns& columns) const;
  template <typename Rows, typename Columns>
  void add_masked(const Schedule& schedule, const Rows& rows, const Columns& columns, Rectangle& rectangle) const;
  struct RectangleTime {
    double seconds = 0;
    double last_wave_s = 0;
  };
  template <typename Op>
  [[nodiscard]] RectangleTime time_of(const Schedule& schedule, OpId id, const Op& op, Merges& merges) const;
  /// Adds to each rank's first attention what copies before and after exchanges by heads take; none of them overlaps
  /// with anything.
  void add_layouts(const Schedule& schedule, std::vector<double>& seconds) const;
  /// A kernel that reads and writes so many bytes in all, of partial results.
  [[nodiscard]] double sum_s(double bytes) const { return bytes / sum_bytes_per_s_ + launch_s_; }

  Problem problem_;
  BlockMap blocks_;
  KernelRates rates_;
  double delta_bytes_per_s_;
  double sum_bytes_per_s_;  ///< of outputs forward, of gradients backward
  double launch_s_;
  Framework framework_;
};

/// Compute of the rank that has most, or, where ranks share processors, of the node that has most, spread over its
/// processors. Seconds; `op_s`, by op, as `CostModel::times` gives them.
[[nodiscard]] double busiest_compute_s(const Schedule& schedule, const Network& network, std::span<const double> op_s);

}  // namespace meshattn
