#pragma once

#include <vector>

#include "core/cluster/cluster.h"

namespace meshattn {

/// Tiles of a kernel: of so many tokens (queries forward, keys backward) of each of so many heads, over all batch
/// items.
[[nodiscard]] double kernel_thread_blocks(double tokens, double heads);

/// How fast attention kernels of one pass, head dim and dtype run on one GPU, found from its profile's points: of the
/// same pass; bf16 and fp16 stand for each other; of each mask and head dim those that are nearest by dtype, then
/// heads, then heads a kv-head. A mask without points is like the other one.
///
/// A kernel's tiles (128 rows of a head: queries forward, keys backward) are dealt to the GPU's SMs; where the profile
/// says how many there are, a kernel on full blocks takes whole waves, and any other 1 + tail · SMs / tiles times what
/// it would if there were no end to them: half a wave idles at the end, or as much more as the profile's `tail` says.
/// Points are freed of their own tail first. What is left is a rate by length, that of keys forward and of queries
/// backward (points of one length: their mean):
///
/// * full: the time of an operation is linear in 1 / length: a part of a tile's time is its start and end;
/// * causal: between its points the rate over that of the full mask is, where there is one of that head dim; else as
///   full;
/// * below the first point it goes on as between the first two, but never falls (from one point: as 1 / length); beyond
///   the last it stays;
/// * head dims between or beyond those of two with points: the time of a pair is linear in the head dim (softmax costs
///   the same for each), but beyond them neither shorter for a larger one nor more than in proportion. Two dims of the
///   profile stand for all others, the nearest on either side, or the nearest two.
class KernelRates {
 public:
  /// @throws InvalidInput if the profile has no rate and no point of the pass and dtype.
  KernelRates(const GpuProfile& gpu, const AttentionShape& shape, Pass pass);

  /// Seconds of one kernel of so many operations (`flops`) on full blocks and on all others, its launch not included.
  [[nodiscard]] double seconds(double full_flops, double causal_flops, double length, double tiles) const;

  /// Share of the time of a kernel of so many tiles until all of them are on SMs; 0 where the profile does not say how
  /// many SMs there are.
  [[nodiscard]] double before_last_wave(double tiles) const;

  /// No kernel is taken to be faster.
  [[nodiscard]] double best_flops_per_s() const { return best_; }

 private:
  struct Rate {
    double length;
    double flops_per_s;
  };
  /// Of one mask and head dim. Rates ascend by length; of a curve over another they are fractions of it.
  struct Curve {
    int head_dim = 0;
    std::vector<Rate> rates;
    std::vector<Rate> over;  ///< the full mask's rates, if `fraction`
    std::vector<Rate> fraction;
  };
  using Curves = std::vector<Curve>;  ///< one or two head dims

  /// How much longer a kernel takes because it has an end.
  [[nodiscard]] double end_of(KernelMask mask, double tiles) const;
  [[nodiscard]] static double at(const std::vector<Rate>& rates, double length);
  [[nodiscard]] static double at(const Curve& curve, double length);
  [[nodiscard]] double at(const Curves& curves, double length) const;
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
