#include "experiments/measure/calibration/microbenchmark.h"

#include <gtest/gtest.h>

#include "core/execution/cost_model.h"

namespace meshattn {
namespace {

/// Two ranks attend twice each and exchange at the same time, three times.
TEST(Microbenchmark, HasTheOpsItAsksFor) {
  const std::vector<Pair> pairs{{0, 1}, {1, 0}};
  const Schedule s = schedule_of({.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16},
                                  .attention_ops = 2,
                                  .attention_ranks = 2,
                                  .combines = 5,
                                  .pairs = pairs,
                                  .exchanges = 3});
  EXPECT_EQ(s.problem.ranks, 2);
  EXPECT_EQ(s.transfers.size(), 6u);
  EXPECT_EQ(s.bytes(s.transfers.front().made), 64u * 2 * 2 * 8 * 2);  // K and V, 2 heads of 8, 2 bytes each
  EXPECT_GT(s.peak_bytes, 0u);
  std::size_t attention_ops = 0, combines = 0;
  for (const Op& op : s.ops) {
    attention_ops += std::holds_alternative<Attend>(op);
    combines += std::holds_alternative<Combine>(op);
  }
  EXPECT_EQ(attention_ops, 4u);
  EXPECT_EQ(combines, 5u);
  const Schedule pieces = schedule_of({.shape = {16, 64, 1, 4, 2, 8, Dtype::kBf16},
                                       .pairs = pairs,
                                       .exchanges = 3,
                                       .pieces = 16,
                                       .whole_exchanges = 2});
  EXPECT_EQ(pieces.bytes(pieces.transfers[3].made), 64u * 2 * 2 * 8 * 2);  // the whole of a chunk, twice each way
  EXPECT_EQ(pieces.bytes(pieces.transfers[4].made), 4u * 2 * 2 * 8 * 2);
  EXPECT_EQ(pieces.bytes(pieces.transfers.back().made), 4u * 2 * 2 * 8 * 2);
  EXPECT_EQ(pieces.transfers.size(), 6u);
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Schedule tall =
        schedule_of({.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16}, .pass = pass, .attention_ops = 1, .pieces = 4});
    const double of_all_heads = 64 * 16 * 4;  // pairs of 4 heads: all queries, a quarter of the keys
    GpuProfile gpu;
    gpu.attention_flops_per_s = 1e12;
    EXPECT_NEAR(CostModel(gpu, tall.problem).times(tall).seconds.back(), flops(of_all_heads, 8, pass) / 1e12, 1e-18);
  }
  const Schedule back = schedule_of({.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16},
                                     .mask = Mask::kCausal,
                                     .pass = Pass::kBackward,
                                     .attention_ops = 3});
  EXPECT_EQ(back.problem.pass, Pass::kBackward);
  EXPECT_EQ(back.outputs.size(), 6u);  // dQ and dKV of each
  EXPECT_EQ(back.ops.size(), 4u);      // delta, and three
  const Schedule summed = schedule_of(
      {.shape = {64, 64, 1, 4, 2, 8, Dtype::kBf16}, .pass = Pass::kBackward, .attention_ops = 2, .combines = 1});
  for (ValueId source : summed.sources_of(std::get<Combine>(summed.ops.back())))
    EXPECT_EQ(summed.values[source].tensor, Tensor::kDQ);
}

}  // namespace
}  // namespace meshattn
