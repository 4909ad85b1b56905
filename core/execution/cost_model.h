#pragma once

#include <span>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/kernel_rates.h"
#include "core/cluster/network.h"
#include "core/execution/kernel_work.h"
#include "core/execution/op_times.h"
#include "core/schedule/schedule.h"

namespace meshattn {

class AccumulatorTraffic;

/// Turns the compute ops of a schedule into seconds on one GPU, and is the only place that does.
///
/// The time of an exchange is found while the schedule is stepped through: `Network` has the start-up of a message and
/// the bandwidth of each link on its route, `LinkLoad` the bandwidth that a link has left at a moment, and the clock
/// shares it between transfers. The efficiency of a link or NIC is a factor of its bandwidth from the reading of the
/// cluster's file on (core/cluster/cluster_file.cpp); core/README.md has the whole way.
///
/// * Attend and AttendBackward are one kernel each: a launch, plus the floating-point operations of their blocks at the
///   profile's rates (`KernelRates`). Full blocks and blocks cut by the mask have rates of their own (`KernelWork`).
/// * A kernel that contributes to an accumulator after another one needs a merge, a further kernel that reads the
///   accumulator and the contribution and writes the accumulator (`AccumulatorTraffic`).
/// * Combine and Delta move the bytes that they read and write.
/// * A framework may copy data that is exchanged by heads (`LayoutCopies`).
class CostModel {
 public:
  /// @throws InvalidInput if the profile has no rate and no point of the problem's pass and dtype.
  CostModel(const GpuProfile& gpu, const Problem& problem);

  [[nodiscard]] OpTimes times(const Schedule& schedule) const;

  /// Seconds of one kernel over `pairs` (query, key) pairs of each head, q_tokens × kv_tokens in each batch item.
  [[nodiscard]] double attention_s(double pairs, double q_tokens, double kv_tokens, KernelMask mask) const;

  /// The rate that no kernel exceeds.
  [[nodiscard]] double best_flops_per_s() const { return rates_.best_flops_per_s(); }

 private:
  struct AttentionTime {
    double seconds = 0;
    double last_wave_s = 0;  ///< from the start of the op
  };

  [[nodiscard]] double kernel_s(const KernelWork& work) const;
  template <typename Op>
  [[nodiscard]] AttentionTime time_of(const Schedule& schedule, OpId id, const Op& op,
                                      AccumulatorTraffic& traffic) const;
  /// Adds layout copies to the first attention op of each rank: they overlap with nothing.
  void add_layout_copies(const Schedule& schedule, std::vector<double>& seconds) const;
  /// Seconds of a kernel that reads and writes this many bytes of partial results together.
  [[nodiscard]] double merge_s(double bytes) const { return bytes / merge_bytes_per_s_ + launch_s_; }

  Problem problem_;
  KernelWorkCounter work_;
  KernelRates rates_;
  double delta_bytes_per_s_;
  double merge_bytes_per_s_;  ///< of outputs forward, of gradients backward
  double launch_s_;
  Framework framework_;
};

/// Compute time of the busiest rank or, where ranks share processors, of the busiest node spread over its processors.
/// `op_s`, by op, as in `OpTimes::seconds`.
[[nodiscard]] double busiest_compute_s(const Schedule& schedule, const Network& network, std::span<const double> op_s);

}  // namespace meshattn
