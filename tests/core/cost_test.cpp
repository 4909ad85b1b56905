#include "core/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <tuple>

#include "core/algorithms.h"
#include "core/algorithms/mesh.h"
#include "core/cluster_file.h"
#include "core/error.h"
#include "core/plan.h"
#include "core/schedule_builder.h"

namespace meshattn {
namespace {

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

Problem problem(std::int64_t seq, int ranks, Mask mask = Mask::kFull, Pass pass = Pass::kForward,
                Partition partition = Partition::kContiguous) {
  return {{seq, seq, 1, 32, 8, 128, Dtype::kBf16}, mask, partition, pass, ranks};
}

AttentionPoint point(Pass pass, KernelMask mask, std::int64_t tokens, double tflops) {
  return {pass, mask, Dtype::kBf16, tokens, tokens, 32, 8, 128, 1, tflops * 1e12, "test"};
}

/// Rates that grow with the length, other ones for each pass and mask.
GpuProfile measured() {
  GpuProfile gpu;
  gpu.name = "test";
  gpu.combine_bytes_per_s = 1e12;
  gpu.accumulate_bytes_per_s = 0.8e12;
  gpu.launch_s = 3e-6;
  for (std::int64_t tokens : {1024, 4096, 32768}) {
    const double length = std::log2(static_cast<double>(tokens));
    gpu.attention.push_back(point(Pass::kForward, KernelMask::kFull, tokens, 40 * length));
    gpu.attention.push_back(point(Pass::kForward, KernelMask::kCausal, tokens, 35 * length));
    gpu.attention.push_back(point(Pass::kBackward, KernelMask::kFull, tokens, 30 * length));
    gpu.attention.push_back(point(Pass::kBackward, KernelMask::kCausal, tokens, 25 * length));
  }
  return gpu;
}

/// One kernel: the first `rows` q cells × the first `columns` kv cells, a value each.
Schedule one_kernel(const Problem& p, int rows, int columns, std::vector<HeadRange> q_heads = {}) {
  if (q_heads.empty()) q_heads = {{0, p.shape.heads}};
  ScheduleBuilder b(p);
  for (Cell cell = 0; cell < static_cast<Cell>(rows); ++cell)
    for (HeadRange heads : q_heads) {
      const Cell cells[] = {cell};
      const RegionId region = b.region(cells, heads);
      if (p.pass == Pass::kForward)
        b.add_row(
            AttendRow{b.input(0, Tensor::kQ, region, p.shape.dtype), b.declare(0, Tensor::kO, region, Dtype::kFp32)});
      else
        b.add_row(BackwardRow{
            b.input(0, Tensor::kQ, region, p.shape.dtype), b.input(0, Tensor::kDO, region, p.shape.dtype),
            b.input(0, Tensor::kDelta, region, Dtype::kFp32), b.declare(0, Tensor::kDQ, region, Dtype::kFp32)});
    }
  for (Cell cell = 0; cell < static_cast<Cell>(columns); ++cell) {
    const Cell cells[] = {cell};
    const RegionId region = b.region(cells, {0, p.shape.kv_heads});
    const ValueId kv = b.input(0, Tensor::kKV, region, p.shape.dtype);
    if (p.pass == Pass::kForward)
      b.add_column(kv);
    else
      b.add_column(BackwardColumn{kv, b.declare(0, Tensor::kDKV, region, Dtype::kFp32)});
  }
  const auto row_count = static_cast<std::uint16_t>(rows * static_cast<int>(q_heads.size()));
  if (p.pass == Pass::kForward)
    b.attend(0, {0, 0, row_count, static_cast<std::uint16_t>(columns)});
  else
    b.attend_backward(0, {0, 0, row_count, static_cast<std::uint16_t>(columns)});
  return b.finish();
}

double kernel_s(const GpuProfile& gpu, const Schedule& s) { return CostModel(gpu, s.problem).seconds(s)[0]; }

TEST(Cost, TheIdealBlockTakesOneMillisecond) {
  // 4 · 4,096² · 128 · 32 heads = 274,877,906,944 operations at 274.877906944 TFLOP/s; backward 2.5 times that.
  const Cluster ideal = read_cluster("ideal-8x50", kTopologies);
  Problem p = problem(4096 * 8, 8);
  p.shape.kv_heads = 32;
  EXPECT_DOUBLE_EQ(kernel_s(ideal.gpu, one_kernel(p, 1, 1)), 1e-3);
  EXPECT_DOUBLE_EQ(kernel_s(ideal.gpu, one_kernel(p, 3, 5)), 15e-3);
  p.pass = Pass::kBackward;
  EXPECT_DOUBLE_EQ(kernel_s(ideal.gpu, one_kernel(p, 1, 1)), 2.5e-3);
  p.shape.batch = 3;
  EXPECT_DOUBLE_EQ(kernel_s(ideal.gpu, one_kernel(p, 2, 1)), 15e-3);
  EXPECT_DOUBLE_EQ(CostModel(ideal.gpu, p).best_flops_per_s(), 274.877906944e12);
}

TEST(Cost, EveryPointIsReproduced) {
  const GpuProfile gpu = measured();
  for (const AttentionPoint& a : gpu.attention) {
    const CostModel cost(gpu, problem(1 << 20, 8, Mask::kFull, a.pass));
    const auto tokens = static_cast<double>(a.q_tokens);
    const double seconds = cost.attention_s(tokens * tokens, tokens, tokens, a.mask);
    EXPECT_DOUBLE_EQ(flops(tokens * tokens * 32, 128, a.pass) / (seconds - gpu.launch_s), a.flops_per_s);
  }
}

/// Points at 1,024, 4,096 and 32,768 tokens: 400, 480 and 600 TFLOP/s. Operations take 1/400 + k (1/L − 1/1,024), with
/// k (1/1,024 − 1/4,096) = 1/400 − 1/480: at 2,048 tokens two thirds of the way, at 512 four thirds beyond it; and so
/// on.
TEST(Cost, TheTimeOfAnOperationIsLinearInTheInverseLength) {
  const GpuProfile gpu = measured();
  const CostModel cost(gpu, problem(1 << 20, 8));
  const auto rate = [](const CostModel& model, double q, double kv) {
    return 4 * q * kv * 128 * 32 / (model.attention_s(q * kv, q, kv, KernelMask::kFull) - 3e-6) / 1e12;
  };
  EXPECT_NEAR(rate(cost, 2048, 2048), 1 / (1 / 400.0 - 2 / 3.0 * (1 / 400.0 - 1 / 480.0)), 1e-6);
  EXPECT_NEAR(rate(cost, 8192, 8192), 1 / (1 / 480.0 - 4 / 7.0 * (1 / 480.0 - 1 / 600.0)), 1e-6);
  EXPECT_NEAR(rate(cost, 1024, 4096), 480, 1e-6);  // a tile runs over keys, whatever the queries
  EXPECT_NEAR(rate(CostModel(gpu, problem(1 << 20, 8, Mask::kFull, Pass::kBackward)), 4096, 1024) * 2.5, 360, 1e-6);
  EXPECT_NEAR(rate(cost, 1 << 20, 1 << 20), 600, 1e-6);  // the last point's
  EXPECT_NEAR(rate(cost, 512, 512), 1 / (1 / 400.0 + 4 / 3.0 * (1 / 400.0 - 1 / 480.0)), 1e-6);
  EXPECT_DOUBLE_EQ(cost.best_flops_per_s(), 600e12);
  EXPECT_DOUBLE_EQ(CostModel(gpu, problem(1 << 20, 8, Mask::kFull, Pass::kBackward)).best_flops_per_s(), 450e12);
  GpuProfile one = gpu;
  one.attention = {point(Pass::kForward, KernelMask::kFull, 1024, 400)};
  EXPECT_NEAR(rate(CostModel(one, problem(1 << 20, 8)), 256, 256), 100, 1e-6);  // a quarter of the only point's
}

/// Neither more queries nor more keys, with few heads or many, take less; nothing is faster than the best rate.
TEST(Cost, MoreWorkNeverTakesLess) {
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

TEST(Cost, ARectangleIsOneKernel) {
  // 4 × 2 cells of 4,096 tokens: one launch. Cut between its tiles it is as fast, but for one more; cut across them, so
  // that each runs over half as much, slower.
  const GpuProfile gpu = measured();
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Problem p = problem(4096 * 8, 8, Mask::kFull, pass);
    const CostModel cost(gpu, p);
    const double whole = kernel_s(gpu, one_kernel(p, 4, 2));
    EXPECT_NEAR(whole, cost.attention_s(16384.0 * 8192, 16384, 8192, KernelMask::kFull), 1e-15);
    const double rows_cut = 2 * kernel_s(gpu, one_kernel(p, 2, 2)),
                 columns_cut = 2 * kernel_s(gpu, one_kernel(p, 4, 1));
    const bool forward = pass == Pass::kForward;
    EXPECT_NEAR(forward ? rows_cut : columns_cut, whole + gpu.launch_s, 1e-15);
    EXPECT_GT(forward ? columns_cut : rows_cut, whole + 2 * gpu.launch_s);
  }
}

TEST(Cost, HeadsThatAreCutAreCountedOnce) {
  // The same rows as 32 heads, or as 8 + 24 heads of the same tokens; kv-head k serves q heads 4k … 4k + 3.
  const GpuProfile gpu = measured();
  for (Mask mask : {Mask::kFull, Mask::kCausal}) {
    const Problem p = problem(4096 * 8, 8, mask);
    const double whole = kernel_s(gpu, one_kernel(p, 4, 2));
    EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 4, 2, {{0, 8}, {8, 32}})), whole, 1e-15);
    EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 4, 2, {{0, 16}})) - gpu.launch_s, (whole - gpu.launch_s) / 2, 1e-15);
  }
}

TEST(Cost, CausalBlocksTakeTheirPairsAtTheCausalRate) {
  // One cell with itself: 4,096 · 4,097 / 2 pairs. Cells {0, 1} × {0, 1}: two such, one full block, one empty, 8,192
  // long, of the way from 1 / 4,096 to 1 / 32,768 four sevenths: 1 / (1/12 − 4/7 (1/12 − 1/15)) = 420/31.
  const GpuProfile gpu = measured();
  const Problem p = problem(4096 * 8, 8, Mask::kCausal);
  const double half = 4096.0 * 4097 / 2, full = 4096.0 * 4096, operations = 4.0 * 128 * 32;
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 1, 1)), operations * half / (35 * 12 * 1e12) + gpu.launch_s, 1e-15);
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 2, 2)),
              operations * (2 * half / (35 * 420 / 31.0 * 1e12) + full / (40 * 420 / 31.0 * 1e12)) + gpu.launch_s,
              1e-15);
}

TEST(Cost, OtherBlocksTakeTheirPairsAtTheCausalRate) {
  // A cell of 4,096 tokens with itself under a window of 1,024: the first 1,023 queries see 1 … 1,023 keys, the other
  // 3,073 see 1,024. Documents of half a cell under the full mask: two squares of 2,048.
  const GpuProfile gpu = measured();
  Problem p = problem(4096 * 8, 8, {true, 1024, {}});
  const double window = 1023.0 * 1024 / 2 + 3073.0 * 1024, squares = 2 * 2048.0 * 2048, operations = 4.0 * 128 * 32;
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 1, 1)), operations * window / (35 * 12 * 1e12) + gpu.launch_s, 1e-15);
  p.mask = {false, 0, Documents(std::vector<std::int64_t>(16, 2048))};
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 1, 1)), operations * squares / (35 * 12 * 1e12) + gpu.launch_s, 1e-15);
}

TEST(Cost, AllKernelsOfAMaskTogetherDoTheWholeProblem) {
  GpuProfile gpu;
  gpu.attention_flops_per_s = 1e12;
  for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
    for (const Mask& mask : {Mask::kFull, Mask::kCausal, Mask{true, 77, {}},
                             Mask{true, 0, Documents(std::vector<std::int64_t>{300, 1, 500, 200})}})
      for (Pass pass : {Pass::kForward, Pass::kBackward}) {
        const Problem p = problem(1001, 5, mask, pass, partition);
        const int cells = static_cast<int>(p.cells());
        EXPECT_NEAR(kernel_s(gpu, one_kernel(p, cells, cells)), flops(total_pairs(p) * 32, 128, pass) / 1e12, 1e-12);
      }
}

TEST(Cost, MergingTakesItsBytes) {
  const Problem p = problem(4096, 4);
  ScheduleBuilder b(p);
  const RegionId region = b.chunk_region(0, Tensor::kO);
  const ValueId partials[] = {b.input(0, Tensor::kO, region, Dtype::kFp32),
                              b.input(0, Tensor::kO, region, Dtype::kFp32)};
  const ValueId o = b.combine(partials, Dtype::kBf16);
  b.delta(o, b.input(0, Tensor::kDO, region, Dtype::kBf16));
  const Schedule s = b.finish();
  // 1,024 tokens × 32 heads: fp32 O 512 bytes + 4 of log-sum-exp, bf16 O 256 + 4, dO 256, delta 8 a row.
  const double rows = 1024 * 32;
  const std::vector<double> seconds = CostModel(measured(), p).seconds(s);
  EXPECT_DOUBLE_EQ(seconds[0], rows * (2 * 516 + 260) / 1e12 + 3e-6);
  EXPECT_DOUBLE_EQ(seconds[1], rows * (260 + 256 + 8) / 1e12 + 3e-6);
  EXPECT_THAT(CostModel(read_cluster("ideal-8x50", kTopologies).gpu, p).seconds(s), testing::Each(0));
}

/// Two partial dQ of 1,024 tokens × 32 heads, 512 bytes each in fp32, into one of 256: at the rate of gradients.
TEST(Cost, SummingGradientsHasARateOfItsOwn) {
  const Problem p = problem(4096, 4, Mask::kFull, Pass::kBackward);
  ScheduleBuilder b(p);
  const RegionId region = b.chunk_region(0, Tensor::kDQ);
  const ValueId partials[] = {b.input(0, Tensor::kDQ, region, Dtype::kFp32),
                              b.input(0, Tensor::kDQ, region, Dtype::kFp32)};
  b.combine(partials, Dtype::kBf16);
  EXPECT_DOUBLE_EQ(CostModel(measured(), p).seconds(b.finish())[0], 1024 * 32 * (2 * 512 + 256) / 0.8e12 + 3e-6);
}

/// The second rectangle that contributes to a sum pays for merging: the sum is read and written, the contribution read.
TEST(Cost, ContributingToASumThatHasBegunTakesAMerge) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Problem p = problem(4096, 4, Mask::kFull, pass);
    const auto steps = [](std::vector<TileStep> compute) {
      compute.insert(compute.begin(), 3, Hop::kColumnIn);
      return compute;
    };
    TilePlan plan{{1, 4}, pass, steps({Rectangle{0, 1, 0, 2}, Rectangle{0, 1, 2, 4}}), 0, 0, 0};
    if (pass == Pass::kBackward) plan.steps.insert(plan.steps.end(), 3, Hop::kColumnOut);
    const Schedule s = mesh(p, plan, Dtype::kFp32);
    const std::vector<double> seconds = CostModel(measured(), p).seconds(s);
    std::vector<double> rectangles;
    for (OpId op = s.ops_begin(0); op < s.ops_end(0); ++op)
      if (std::holds_alternative<Attend>(s.ops[op]) || std::holds_alternative<AttendBackward>(s.ops[op]))
        rectangles.push_back(seconds[op]);
    ASSERT_EQ(rectangles.size(), 2u);
    // 1,024 tokens × 32 heads: O of 512 bytes + 4 of log-sum-exp a row, dQ of 512; columns are new to both rectangles.
    const double sum_bytes = 1024.0 * 32 * (pass == Pass::kForward ? 516 : 512);
    const double rate = pass == Pass::kForward ? 1e12 : 0.8e12;  // outputs are merged, gradients summed
    EXPECT_NEAR(rectangles[1] - rectangles[0], 3 * sum_bytes / rate + 3e-6, 1e-15);
    // Merged in several kernels that move 38 bytes of an element of O, not 12; gradients are added as before.
    GpuProfile by_op = measured();
    by_op.framework.merge_bytes = 38;
    const std::vector<double> slower = CostModel(by_op, p).seconds(s);
    const double more =
        std::accumulate(slower.begin(), slower.end(), 0.0) - std::accumulate(seconds.begin(), seconds.end(), 0.0);
    EXPECT_NEAR(more, pass == Pass::kForward ? 4 * 26 / 4.0 * sum_bytes / 1e12 : 0, 1e-12);  // on each of four ranks
    GpuProfile by_gradient = measured();
    by_gradient.framework.gradient_kernels = 3;
    const std::vector<double> launched = CostModel(by_gradient, p).seconds(s);
    const double launches =
        std::accumulate(launched.begin(), launched.end(), 0.0) - std::accumulate(seconds.begin(), seconds.end(), 0.0);
    EXPECT_NEAR(launches, pass == Pass::kForward ? 0 : 4 * 2 * 3e-6, 1e-12);
  }
}

TEST(Cost, TheNearestSeriesStandsForOneThatIsNotThere) {
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
  EXPECT_NEAR(rate(p, KernelMask::kCausal), 420, 1e-6);  // there is no causal point of 64: the mask comes first
  p.shape.head_dim = 256;  // a pair that took less at 128 than at 64 does not take still less: as long as at 128
  EXPECT_NEAR(rate(p, KernelMask::kFull), 600, 1e-6);  // which is beyond the best point
  p.shape = problem(1 << 20, 8).shape;
  p.shape.dtype = Dtype::kFp16;
  EXPECT_NEAR(rate(p, KernelMask::kFull), 222, 1e-6);
  EXPECT_NEAR(rate(p, KernelMask::kCausal), 420, 1e-6);  // bf16 stands for fp16
  std::erase_if(gpu.attention, [](const AttentionPoint& a) { return a.mask == KernelMask::kCausal; });
  EXPECT_NEAR(rate(p, KernelMask::kCausal), 222, 1e-6);  // full stands for causal
}

/// 1,024 tiles on 100 SMs are 10.24 waves: as full blocks 11 of them; of others half a wave idles, or as many as said.
TEST(Cost, TheEndOfAKernelIdles) {
  GpuProfile gpu;
  gpu.attention_flops_per_s = 1e12;
  gpu.sms = 100;
  gpu.tails[Pass::kBackward] = 2;
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const CostModel cost(gpu, problem(1 << 20, 8, Mask::kFull, pass));
    const double alone = flops(4096.0 * 4096 * 32, 128, pass) / 1e12;  // 4,096 / 128 tiles of 32 heads
    EXPECT_NEAR(cost.attention_s(4096.0 * 4096, 4096, 4096, KernelMask::kFull), alone * 11 / 10.24, 1e-12);
    EXPECT_NEAR(cost.attention_s(4096.0 * 4096, 4096, 4096, KernelMask::kCausal),
                alone * (1 + (pass == Pass::kForward ? 0.5 : 2) / 10.24), 1e-12);
    // Tiles are of queries forward and of keys backward: twice as many of either do not change the other's.
    const double queries = cost.attention_s(8192.0 * 4096, 8192, 4096, KernelMask::kFull);
    EXPECT_NEAR(queries, 2 * alone * (pass == Pass::kForward ? 21 / 20.48 : 11 / 10.24), 1e-12);
  }
}

/// The tiles of a rectangle: forward of its queries, backward of its keys, of every head and batch item. 2 × 3 cells of
/// 1,024 tokens, 32 heads, 3 items on 100 SMs: 1,536 tiles are 15.36 waves, 2,304 are 23.04.
TEST(Cost, TheTilesOfARectangleAreOfItsOwnSide) {
  GpuProfile gpu;
  gpu.attention_flops_per_s = 1e12;
  gpu.sms = 100;
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    Problem p = problem(1024 * 8, 8, Mask::kFull, pass);
    p.shape.batch = 3;
    const double alone = flops(2048.0 * 3072 * 32 * 3, 128, pass) / 1e12;
    EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 2, 3)), alone * (pass == Pass::kForward ? 16 / 15.36 : 24 / 23.04), 1e-12);
  }
}

TEST(Cost, EveryPointIsReproducedWithItsOwnEnd) {
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

/// A pair takes ∝ dim / rate: 64 / 400 = 0.16 and 128 / 480 = 0.2667, so 0.2133 at 96 and 0.1067 at 32. At 256 it would
/// take 0.48: a rate of 533, which is above the best point.
TEST(Cost, TheTimeOfAPairIsLinearInTheHeadDim) {
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

/// Of points of one head dim and dtype those of the nearest number of heads count, and only then those that share keys
/// alike; of one length their mean.
TEST(Cost, PointsOfTheNearestHeadsCount) {
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

/// 500, then 400, then 600 TFLOP/s: shorter than the first point it does not get faster than that.
TEST(Cost, BelowTheFirstPointRatesDoNotRise) {
  GpuProfile gpu;
  for (auto [tokens, rate] : {std::pair{1024, 500.0}, {4096, 400.0}, {16384, 600.0}})
    gpu.attention.push_back(point(Pass::kForward, KernelMask::kFull, tokens, rate));
  const double seconds = CostModel(gpu, problem(1 << 20, 8)).attention_s(512 * 512, 512, 512, KernelMask::kFull);
  EXPECT_NEAR(flops(512.0 * 512 * 32, 128, Pass::kForward) / seconds / 1e12, 500, 1e-6);
}

/// Causal rates are half of the full ones at 1,024 tokens and 0.9 of them at 4,096; 2,048 is two thirds of the way, so
/// 0.7667 of the 500 there. Below the first point nothing is known of the full mask either: as the causal points go on.
TEST(Cost, CausalRatesFollowTheFullOnes) {
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

/// Zigzag on 4 ranks: of another's keys, rank 0 uses all of what is left with its second cell, rank 3 some with both.
/// So each of rank 0's merges is of half its tokens, a part, and each of rank 3's of all.
TEST(Cost, AFrameworkMovesItsBytes) {
  const Problem p = problem(4096, 4, Mask::kCausal, Pass::kForward, Partition::kZigzag);
  TilePlan plan{{1, 4}, p.pass, {}, 0, 0, 0};
  for (int column = 0; column < 4; ++column) {
    if (column > 0) plan.steps.emplace_back(Hop::kColumnIn);
    plan.steps.emplace_back(Rectangle{0, 1, column, column + 1});
  }
  const Schedule s = mesh(p, plan, Dtype::kFp32);
  GpuProfile gpu = measured();
  const std::vector<double> seconds = CostModel(gpu, p).seconds(s);
  const auto more = [&](Rank r) {
    const std::vector<double> with = CostModel(gpu, p).seconds(s);
    double more_s = 0;
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) more_s += with[op] - seconds[op];
    return more_s;
  };
  const double elements = 1024.0 * 32 * 129;  // of an fp32 sum, its log-sum-exp included
  gpu.framework.merge_bytes = 38;
  EXPECT_NEAR(more(0), 3 * 26 * elements / 2 / 1e12, 1e-15);
  EXPECT_NEAR(more(3), 3 * 26 * elements / 1e12, 1e-15);
  gpu.framework = {.part_bytes = 8};
  EXPECT_NEAR(more(0), 3 * 8 * elements / 2 / 1e12, 1e-15);
  EXPECT_NEAR(more(3), 0, 1e-15);
  gpu.framework = {.output_bytes = 6};
  EXPECT_NEAR(more(0), 6 * 1024.0 * 32 * 130 / 1e12, 1e-15);  // the output is in bf16, and has its log-sum-exp
  gpu.framework = {.merge_kernels = 9};
  EXPECT_NEAR(more(3), 3 * 8 * gpu.launch_s, 1e-15);
  gpu.framework = {.gradient_kernels = 9};
  EXPECT_EQ(more(3), 0);
  gpu.framework = {.host_s = 1};
  EXPECT_GT(more(0), 4 - 0.1);  // at least the four kernels
  gpu.framework = {.gradient_bytes = 1e6};
  EXPECT_EQ(more(0), 0);
}

/// Stripes on 4 ranks: of a later rank's stripe no first query sees a key, and no last key is seen: all but one of the
/// 1,024 tokens are merged, a part. Rank 3 sees something of all others with every query.
TEST(Cost, AStripeIsMergedButForOneToken) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Problem p = problem(4096, 4, Mask::kCausal, pass, Partition::kStriped);
    TilePlan plan{{1, 4}, pass, {}, 0, 0, 0};
    for (int column = 0; column < 4; ++column) {
      if (column > 0) plan.steps.emplace_back(Hop::kColumnIn);
      plan.steps.emplace_back(Rectangle{0, 1, column, column + 1});
    }
    if (pass == Pass::kBackward) plan.steps.insert(plan.steps.end(), 3, Hop::kColumnOut);
    const Schedule s = mesh(p, plan, Dtype::kFp32);
    GpuProfile gpu = measured();
    const std::vector<double> seconds = CostModel(gpu, p).seconds(s);
    gpu.framework.part_bytes = 8;
    const std::vector<double> with = CostModel(gpu, p).seconds(s);
    double more[4] = {};
    for (Rank r : {0, 3})
      for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) more[r] += with[op] - seconds[op];
    const double elements = 32.0 * 129;  // of a token: O and its log-sum-exp; gradients are summed in place
    EXPECT_NEAR(more[0], pass == Pass::kForward ? 3 * 8 * 1023 * elements / 1e12 : 0, 1e-14) << name_of(pass);
    EXPECT_NEAR(more[3], 0, 1e-14) << name_of(pass);
  }
}

/// Two chunks of a Ulysses place are rows of one sum: merged together they are all of it, no parts.
TEST(Cost, RowsOfOneSumAreMergedTogether) {
  const Problem p = problem(8192, 8);
  const Cluster cluster = read_cluster("ideal-8x50", kTopologies);
  const Method method = method_of("usp", p, {.ulysses = 2}, 8);
  const Schedule s = make_plan({p, method}, Network(cluster, 8), CostModel(cluster.gpu, p)).schedule;
  GpuProfile gpu = measured();
  const std::vector<double> seconds = CostModel(gpu, p).seconds(s);
  gpu.framework.part_bytes = 1e6;
  EXPECT_EQ(CostModel(gpu, p).seconds(s), seconds);
}

TEST(Cost, WithoutAFittingPointItRefuses) {
  using testing::HasSubstr;
  GpuProfile gpu = measured();
  Problem p = problem(1 << 20, 8);
  p.shape.dtype = Dtype::kFp32;
  EXPECT_THAT([&] { CostModel(gpu, p); },
              testing::ThrowsMessage<InvalidInput>(HasSubstr("no point of forward attention in fp32")));
  std::erase_if(gpu.attention, [](const AttentionPoint& a) { return a.pass == Pass::kBackward; });
  EXPECT_THAT([&] { CostModel(gpu, problem(1 << 20, 8, Mask::kFull, Pass::kBackward)); },
              testing::ThrowsMessage<InvalidInput>(HasSubstr("no point of backward attention in bf16")));
  gpu.attention.clear();
  EXPECT_THROW(CostModel(gpu, problem(1 << 20, 8)), InvalidInput);
}

}  // namespace
}  // namespace meshattn
