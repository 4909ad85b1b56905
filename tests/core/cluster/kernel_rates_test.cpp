#include "core/cluster/kernel_rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "core/base/error.h"
#include "core/cluster/cluster_file.h"
#include "core/execution/cost_model.h"
#include "tests/support/measured_gpu.h"

namespace meshattn {
namespace {

using testing::measured;
using testing::point;
using testing::problem;

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

TEST(KernelRates, EveryPointIsReproduced) {
  const GpuProfile gpu = measured();
  for (const AttentionPoint& a : gpu.attention) {
    const CostModel cost(gpu, problem(1 << 20, 8, Mask::kFull, a.pass));
    const auto tokens = static_cast<double>(a.q_tokens);
    const double seconds = cost.attention_s(tokens * tokens, tokens, tokens, a.mask);
    EXPECT_DOUBLE_EQ(flops(tokens * tokens * 32, 128, a.pass) / (seconds - gpu.launch_s), a.flops_per_s);
  }
}

/// Points at 1,024, 4,096 and 32,768 tokens: 400, 480 and 600 TFLOP/s. An operation takes 1/400 + k (1/L − 1/1,024)
/// with k (1/1,024 − 1/4,096) = 1/400 − 1/480: 2,048 tokens are two thirds of the way to 4,096, and 512 tokens lie four
/// thirds of it before the first point.
TEST(KernelRates, TheTimeOfAnOperationIsLinearInTheInverseLength) {
  const GpuProfile gpu = measured();
  const CostModel cost(gpu, problem(1 << 20, 8));
  const auto rate = [](const CostModel& model, double q, double kv) {
    return 4 * q * kv * 128 * 32 / (model.attention_s(q * kv, q, kv, KernelMask::kFull) - 3e-6) / 1e12;
  };
  EXPECT_NEAR(rate(cost, 2048, 2048), 1 / (1 / 400.0 - 2 / 3.0 * (1 / 400.0 - 1 / 480.0)), 1e-6);
  EXPECT_NEAR(rate(cost, 8192, 8192), 1 / (1 / 480.0 - 4 / 7.0 * (1 / 480.0 - 1 / 600.0)), 1e-6);
  EXPECT_NEAR(rate(cost, 1024, 4096), 480, 1e-6);  // the length is the number of keys
  EXPECT_NEAR(rate(CostModel(gpu, problem(1 << 20, 8, Mask::kFull, Pass::kBackward)), 4096, 1024) * 2.5, 360, 1e-6);
  EXPECT_NEAR(rate(cost, 1 << 20, 1 << 20), 600, 1e-6);  // the rate of the last point
  EXPECT_NEAR(rate(cost, 512, 512), 1 / (1 / 400.0 + 4 / 3.0 * (1 / 400.0 - 1 / 480.0)), 1e-6);
  EXPECT_DOUBLE_EQ(cost.best_flops_per_s(), 600e12);
  EXPECT_DOUBLE_EQ(CostModel(gpu, problem(1 << 20, 8, Mask::kFull, Pass::kBackward)).best_flops_per_s(), 450e12);
  GpuProfile one = gpu;
  one.attention = {point(Pass::kForward, KernelMask::kFull, 1024, 400)};
  EXPECT_NEAR(rate(CostModel(one, problem(1 << 20, 8)), 256, 256), 100, 1e-6);  // a quarter of the only point's rate
}

/// Points of 500, 400 and 600 TFLOP/s: a kernel shorter than the first point is not faster than it.
TEST(KernelRates, BelowTheFirstPointRatesDoNotRise) {
  GpuProfile gpu;
  for (auto [tokens, rate] : {std::pair{1024, 500.0}, {4096, 400.0}, {16384, 600.0}})
    gpu.attention.push_back(point(Pass::kForward, KernelMask::kFull, tokens, rate));
  const double seconds = CostModel(gpu, problem(1 << 20, 8)).attention_s(512 * 512, 512, 512, KernelMask::kFull);
  EXPECT_NEAR(flops(512.0 * 512 * 32, 128, Pass::kForward) / seconds / 1e12, 500, 1e-6);
}

/// The time of a pair is ∝ dim / rate: 64 / 400 = 0.16 and 128 / 480 = 0.2667, so 0.2133 at 96 and 0.1067 at 32. At 256
/// it would be 0.48, a rate of 533, above the best point.
TEST(KernelRates, TheTimeOfAPairIsLinearInTheHeadDim) {
  GpuProfile gpu;
  gpu.attention = {point(Pass::kForward, KernelMask::kFull, 4096, 400),
                   point(Pass::kForward, KernelMask::kFull, 4096, 480)};
  gpu.attention.front().head_dim = 64;
  for (auto [dim, rate] : {std::pair{64, 400.0}, {96, 450.0}, {32, 300.0}, {128, 480.0}, {256, 480.0}}) {
    Problem p = problem(1 << 20, 8);
    p.shape.head_dim = dim;
    const double seconds = CostModel(gpu, p).attention_s(4096 * 4096, 4096, 4096, KernelMask::kFull);
    EXPECT_NEAR(flops(4096.0 * 4096 * 32, dim, Pass::kForward) / seconds / 1e12, rate, 1e-6) << dim;
  }
}

/// Among points of one head dim and dtype the nearest number of heads decides, then the nearest number of heads per
/// kv-head. Points of equal length are averaged.
TEST(KernelRates, PointsOfTheNearestHeadsCount) {
  GpuProfile gpu;
  for (auto [heads, kv_heads, queries, rate] :
       {std::tuple{32, 8, 4096, 100.0}, {32, 8, 8192, 300.0}, {8, 8, 4096, 400.0}, {16, 4, 4096, 500.0}}) {
    gpu.attention.push_back(point(Pass::kForward, KernelMask::kFull, 4096, rate));
    gpu.attention.back().heads = heads;
    gpu.attention.back().kv_heads = kv_heads;
    gpu.attention.back().q_tokens = queries;
  }
  const auto rate = [&](int heads, int kv_heads) {
    Problem p = problem(1 << 20, 8);
    p.shape.heads = heads;
    p.shape.kv_heads = kv_heads;
    return flops(4096.0 * 4096 * heads, 128, Pass::kForward) /
           CostModel(gpu, p).attention_s(4096 * 4096, 4096, 4096, KernelMask::kFull) / 1e12;
  };
  EXPECT_NEAR(rate(32, 32), 200, 1e-6);
  EXPECT_NEAR(rate(10, 10), 400, 1e-6);
  EXPECT_NEAR(rate(16, 16), 500, 1e-6);
}

TEST(KernelRates, TheNearestSeriesStandsForOneThatIsNotThere) {
  GpuProfile gpu = measured();
  AttentionPoint other = point(Pass::kForward, KernelMask::kFull, 4096, 100);
  other.head_dim = 64;
  gpu.attention.push_back(other);
  other = point(Pass::kForward, KernelMask::kFull, 4096, 222);
  other.dtype = Dtype::kFp16;
  gpu.attention.push_back(other);
  const auto rate = [&](const Problem& p, KernelMask mask) {
    const double seconds = CostModel(gpu, p).attention_s(4096 * 4096, 4096, 4096, mask) - gpu.launch_s;
    return flops(4096.0 * 4096 * p.shape.heads, p.shape.head_dim, p.pass) / seconds / 1e12;
  };
  Problem p = problem(1 << 20, 8);
  EXPECT_NEAR(rate(p, KernelMask::kFull), 480, 1e-6);
  p.shape.head_dim = 80;  // a quarter of the way from 64 to 128: a pair takes 3/4 · 64/100 + 1/4 · 128/480
  EXPECT_NEAR(rate(p, KernelMask::kFull), 80 / (0.75 * 64 / 100 + 0.25 * 128 / 480), 1e-6);
  EXPECT_NEAR(rate(p, KernelMask::kCausal), 420, 1e-6);  // no causal point of 64: the mask comes first
  p.shape.head_dim = 256;                              // a pair takes less at 128 than at 64, but not less still at 256
  EXPECT_NEAR(rate(p, KernelMask::kFull), 600, 1e-6);  // limited by the best point
  p.shape = problem(1 << 20, 8).shape;
  p.shape.dtype = Dtype::kFp16;
  EXPECT_NEAR(rate(p, KernelMask::kFull), 222, 1e-6);
  EXPECT_NEAR(rate(p, KernelMask::kCausal), 420, 1e-6);  // bf16 stands for fp16
  std::erase_if(gpu.attention, [](const AttentionPoint& a) { return a.mask == KernelMask::kCausal; });
  EXPECT_NEAR(rate(p, KernelMask::kCausal), 222, 1e-6);  // full stands for causal
}

/// Causal rates are 0.5 of the full ones at 1,024 tokens and 0.9 of them at 4,096. At 2,048, two thirds of the way,
/// they are 0.7667 of the 500 there. Below the first point they follow the causal points alone.
TEST(KernelRates, CausalRatesFollowTheFullOnes) {
  GpuProfile gpu;
  for (auto [mask, tokens, rate] : {std::tuple{KernelMask::kFull, 1024, 400.0},
                                    {KernelMask::kFull, 2048, 500.0},
                                    {KernelMask::kFull, 4096, 600.0},
                                    {KernelMask::kCausal, 1024, 200.0},
                                    {KernelMask::kCausal, 4096, 540.0}})
    gpu.attention.push_back(point(Pass::kForward, mask, tokens, rate));
  const CostModel cost(gpu, problem(1 << 20, 8));
  const auto rate = [&](double tokens) {
    return flops(tokens * tokens * 32, 128, Pass::kForward) /
           cost.attention_s(tokens * tokens, tokens, tokens, KernelMask::kCausal) / 1e12;
  };
  EXPECT_NEAR(rate(2048), 500 * (0.5 + 0.4 * 2 / 3), 1e-6);
  EXPECT_NEAR(rate(4096), 540, 1e-6);
  EXPECT_NEAR(rate(512), 1 / (1 / 200.0 + 4 / 3.0 * (1 / 200.0 - 1 / 540.0)), 1e-6);
}

/// 1,024 thread blocks on 100 SMs are 10.24 waves: 11 for full blocks; for others 10.24 and the idle tail, half a wave
/// or the profile's.
TEST(KernelRates, TheEndOfAKernelIdles) {
  GpuProfile gpu;
  gpu.attention_flops_per_s = 1e12;
  gpu.sms = 100;
  gpu.tails[Pass::kBackward] = 2;
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const CostModel cost(gpu, problem(1 << 20, 8, Mask::kFull, pass));
    const double alone = flops(4096.0 * 4096 * 32, 128, pass) / 1e12;  // 4,096 / 128 thread blocks of 32 heads
    EXPECT_NEAR(cost.attention_s(4096.0 * 4096, 4096, 4096, KernelMask::kFull), alone * 11 / 10.24, 1e-12);
    EXPECT_NEAR(cost.attention_s(4096.0 * 4096, 4096, 4096, KernelMask::kCausal),
                alone * (1 + (pass == Pass::kForward ? 0.5 : 2) / 10.24), 1e-12);
    // Queries forward and keys backward make thread blocks: twice as many of the others do not change their number.
    const double queries = cost.attention_s(8192.0 * 4096, 8192, 4096, KernelMask::kFull);
    EXPECT_NEAR(queries, 2 * alone * (pass == Pass::kForward ? 21 / 20.48 : 11 / 10.24), 1e-12);
  }
}

TEST(KernelRates, EveryPointIsReproducedWithItsOwnEnd) {
  GpuProfile gpu = measured();
  gpu.sms = 132;
  gpu.tails[Pass::kForward] = 1.7;
  for (AttentionPoint& a : gpu.attention) a.batch = 3;
  for (const AttentionPoint& a : gpu.attention) {
    Problem p = problem(1 << 20, 8, Mask::kFull, a.pass);
    p.shape.batch = a.batch;
    const auto tokens = static_cast<double>(a.q_tokens);
    const double seconds = CostModel(gpu, p).attention_s(tokens * tokens, tokens, tokens, a.mask);
    EXPECT_NEAR(flops(tokens * tokens * 32 * 3, 128, a.pass) / (seconds - gpu.launch_s) / a.flops_per_s, 1, 1e-12);
  }
}

/// More queries or keys never take less time, with few heads or many; nothing is faster than the best rate.
TEST(KernelRates, MoreWorkNeverTakesLess) {
  for (const std::string& name : cluster_names(kTopologies))
    for (Pass pass : {Pass::kForward, Pass::kBackward})
      for (KernelMask mask : {KernelMask::kFull, KernelMask::kCausal})
        for (auto [heads, head_dim] : {std::pair{32, 64}, {32, 128}, {1, 128}, {8, 128}, {8, 96}, {64, 256}}) {
          Problem p = problem(1 << 20, 8, Mask::kFull, pass);
          p.shape.heads = p.shape.kv_heads = heads;
          p.shape.head_dim = head_dim;
          const CostModel cost(read_cluster(name, kTopologies).gpu, p);
          for (auto [queries, keys] : {std::pair{1, 1}, {0, 1}, {1, 0}}) {  // grow
            double before = 0;
            for (double tokens = 16; tokens < 3e6; tokens *= 1.1) {
              const double q = queries == 1 ? tokens : 512, kv = keys == 1 ? tokens : 512;
              const double pairs = q * kv * (mask == KernelMask::kFull ? 1 : 0.5);
              const double seconds = cost.attention_s(pairs, q, kv, mask);
              EXPECT_GE(seconds, before * (1 - 1e-12)) << name << ", " << name_of(pass) << ", " << name_of(mask) << ", "
                                                       << heads << " heads of " << head_dim << ", " << q << " x " << kv;
              EXPECT_GE(seconds, flops(pairs * heads, head_dim, pass) / cost.best_flops_per_s() * (1 - 1e-12));
              before = seconds;
            }
          }
        }
}

TEST(KernelRates, WithoutAFittingPointItRefuses) {
  using ::testing::HasSubstr;
  GpuProfile gpu = measured();
  Problem p = problem(1 << 20, 8);
  p.shape.dtype = Dtype::kFp32;
  EXPECT_THAT([&] { CostModel(gpu, p); },
              ::testing::ThrowsMessage<InvalidInput>(HasSubstr("no point of forward attention in fp32")));
  std::erase_if(gpu.attention, [](const AttentionPoint& a) { return a.pass == Pass::kBackward; });
  EXPECT_THAT([&] { CostModel(gpu, problem(1 << 20, 8, Mask::kFull, Pass::kBackward)); },
              ::testing::ThrowsMessage<InvalidInput>(HasSubstr("no point of backward attention in bf16")));
  gpu.attention.clear();
  EXPECT_THROW(CostModel(gpu, problem(1 << 20, 8)), InvalidInput);
}

}  // namespace
}  // namespace meshattn
