#pragma once

#include <span>
#include <vector>

#include "core/blocks.h"
#include "core/cluster.h"
#include "core/schedule.h"

namespace meshattn {

/// How long compute ops take on one GPU. The only place that turns an op into seconds; what sharing adds is the
/// simulator's.
///
/// One Attend or AttendBackward is one kernel: the floating-point operations of its blocks over a rate, plus a launch.
/// The rate comes from the profile's points, of one series for full blocks and one for all others, a causal kernel's,
/// by the pairs that a window or documents leave of them: same pass; bf16 and fp16 stand for each other; then the
/// nearest, in this order, by mask (the other one if there is none), head dim, dtype, heads, heads a kv-head. In a
/// series the time of an operation is linear in 1 / length, √(q tokens · kv tokens) of the whole kernel (points of one
/// such length: their mean): of a work of length², a part that grows with the length alone is start and end of rows.
/// Below the first point it goes on as between the first two, but never falls (from one point: as 1 / length), beyond
/// the last it stays. What a kernel contributes to a sum that has begun is merged into it, by moving the profile's
/// merge_bytes for each element of O and 12 of a gradient (a kernel that reads the sum and the contribution and writes
/// the sum): once an op, however many rows share the sum, and all of it. Combine and Delta move the bytes of what they
/// make and of the part that they read.
class CostModel {
 public:
  /// @throws InvalidInput if the profile has no rate and no point of the problem's pass and dtype.
  CostModel(const GpuProfile& gpu, const Problem& problem);

  /// Seconds of every op, by OpId; an Exchange has no time of its own (0).
  [[nodiscard]] std::vector<double> seconds(const Schedule& schedule) const;

  /// Seconds of one kernel over `pairs` (query, key) pairs of each head, q_tokens × kv_tokens a batch item.
  [[nodiscard]] double attention_s(double pairs, double q_tokens, double kv_tokens, KernelMask mask) const;

  /// The best rate at which this GPU attends at all, by its points: no kernel here is taken to be faster.
  [[nodiscard]] double best_flops_per_s() const { return best_flops_per_s_; }

 private:
  /// Rates by length, ascending.
  struct Rate {
    double length;
    double flops_per_s;
  };
  /// The kernel that a rectangle is. Pairs are summed over heads, of one batch item.
  struct Kernel {
    double full_pairs = 0;
    double causal_pairs = 0;
    double q_tokens = 0;
    double kv_tokens = 0;
  };

  [[nodiscard]] std::vector<Rate> series(const GpuProfile& gpu, KernelMask mask) const;
  [[nodiscard]] static double rate(std::span<const Rate> series, double length);
  [[nodiscard]] double kernel_s(const Kernel& kernel) const;
  template <typename Rows, typename Columns>
  [[nodiscard]] Kernel kernel_of(const Schedule& schedule, const Rows& rows, const Columns& columns) const;
  /// Adds the blocks of one query value × one key/value value under a mask that is not full.
  void add_masked(const Region& q, const Region& kv, double heads, Kernel& kernel) const;
  template <typename Rectangle>
  [[nodiscard]] double rectangle_s(const Schedule& schedule, OpId op, const Rectangle& rect,
                                   std::vector<OpId>& merged_by) const;
  /// A kernel that reads and writes so many bytes in all.
  [[nodiscard]] double memory_s(double bytes) const;

  Problem problem_;
  Blocks blocks_;
  double combine_bytes_per_s_;
  double merge_bytes_;
  double launch_s_;
  double best_flops_per_s_ = 0;
  std::vector<Rate> full_, causal_;
};

/// Compute of the rank that has most. Seconds; `op_s`, by op, as `CostModel::seconds` gives them.
[[nodiscard]] double busiest_compute_s(const Schedule& schedule, std::span<const double> op_s);

}  // namespace meshattn
