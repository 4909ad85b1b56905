#pragma once

#include <vector>

#include "core/cluster/gpu_profile.h"

namespace meshattn {

/// Thread blocks of an attention kernel: one per 128 tokens (queries forward, keys backward) of each head. `heads`
/// counts those of all batch items.
[[nodiscard]] double kernel_thread_blocks(double tokens, double heads);

/// The speed of attention kernels of one pass, head dim and dtype on one GPU, from the points of its profile.
///
/// Points used: those of the pass, bf16 and fp16 standing for each other; of these, for each mask and head dim, those
/// nearest by dtype, then heads, then heads per kv-head. A mask without points takes the rates of the other one.
///
/// Waves: thread blocks are dealt to SMs. If the profile gives their number, a kernel of full blocks takes whole waves;
/// any other kernel takes 1 + tail · SMs / thread blocks times its time without a tail, where `tail` is the idle tail
/// of the profile in waves. The factors of the points are taken out first. What is left is a rate by length, the number
/// of keys forward and of queries backward; points of equal length are averaged:
///
/// * full mask: the time of an operation is linear in 1 / length, as a constant part of a thread block's time is its
///   start and end;
/// * causal mask: the ratio to the rate of the full mask is linear in 1 / length between the causal points, if the
///   full mask has points of that head dim; else as the full mask;
/// * below the first point: as between the first two, but never falling with length (one point: in proportion to the
///   length); beyond the last point: constant;
/// * head dims without points: the time of a pair is linear in the head dim, as softmax costs the same for every dim,
///   between the two dims of the profile on either side, or the nearest two; beyond them the time of a pair neither
///   falls with the dim nor grows more than in proportion.
class KernelRates {
 public:
  /// @throws InvalidInput if the profile has no rate and no point of the pass and dtype.
  KernelRates(const GpuProfile& gpu, const AttentionShape& shape, Pass pass);

  /// Seconds of one kernel, without its launch. `full_flops` and `causal_flops` are its operations on full blocks and
  /// on all other blocks.
  [[nodiscard]] double seconds(double full_flops, double causal_flops, double length, double thread_blocks) const;

  /// Fraction of a kernel's time before its last wave, when all its thread blocks are on SMs; 0 if the number of SMs is
  /// unknown.
  [[nodiscard]] double before_last_wave(double thread_blocks) const;

  /// Upper bound of the rate of any kernel, in operations per second.
  [[nodiscard]] double best_flops_per_s() const { return best_; }

 private:
  struct Rate {
    double length;
    double flops_per_s;
  };
  /// The rates of one mask and head dim, ascending by length.
  struct Curve {
    int head_dim = 0;
    std::vector<Rate> rates;
    std::vector<Rate> full_rates;     ///< those of the full mask; empty if there are none of this head dim
    std::vector<Rate> ratio_to_full;  ///< `rates` over `full_rates`
  };
  using Curves = std::vector<Curve>;  ///< of one or two head dims

  /// Factor on a kernel's time because its last wave is not full.
  [[nodiscard]] double tail_factor(KernelMask mask, double thread_blocks) const;
  [[nodiscard]] static double rate_at(double length, const std::vector<Rate>& rates);
  [[nodiscard]] static double rate_at(double length, const Curve& curve);
  [[nodiscard]] double rate_at(double length, const Curves& curves) const;
  [[nodiscard]] std::vector<Rate> rates_of(const GpuProfile& gpu, const AttentionShape& shape, Pass pass,
                                           KernelMask mask, int head_dim) const;
  [[nodiscard]] Curves curves_of(const GpuProfile& gpu, const AttentionShape& shape, Pass pass, KernelMask mask) const;

  int head_dim_;
  int sms_;
  double tail_;
  double best_ = 0;
  Curves full_, causal_;
};

}  // namespace meshattn
