#include "core/execution/cost_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/algorithms/mesh.h"
#include "core/cluster/cluster_file.h"
#include "core/schedule/schedule_builder.h"
#include "tests/support/measured_gpu.h"

namespace meshattn {
namespace {

using testing::measured;
using testing::problem;

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

/// One kernel over the first `rows` q cells × the first `columns` kv cells, each a value of its own.
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

double kernel_s(const GpuProfile& gpu, const Schedule& s) { return CostModel(gpu, s.problem).times(s).seconds[0]; }

TEST(CostModel, TheIdealBlockTakesOneMillisecond) {
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

TEST(CostModel, ARectangleIsOneKernel) {
  // 4 × 2 cells of 4,096 tokens are one launch. Two kernels of half the queries take as long, plus a launch; two
  // kernels of half the keys take longer, for they are shorter.
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

TEST(CostModel, TokensWithSlicedHeadsCountOnce) {
  // The same rows as 32 heads, or as 8 + 24 heads of the same tokens; kv-head k serves q heads 4k … 4k + 3.
  const GpuProfile gpu = measured();
  for (Mask mask : {Mask::kFull, Mask::kCausal}) {
    const Problem p = problem(4096 * 8, 8, mask);
    const double whole = kernel_s(gpu, one_kernel(p, 4, 2));
    EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 4, 2, {{0, 8}, {8, 32}})), whole, 1e-15);
    EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 4, 2, {{0, 16}})) - gpu.launch_s, (whole - gpu.launch_s) / 2, 1e-15);
  }
}

TEST(CostModel, CausalBlocksTakeTheirPairsAtTheCausalRate) {
  // One cell with itself has 4,096 · 4,097 / 2 pairs. Cells {0, 1} × {0, 1} have two such blocks, a full and an empty
  // one. 1 / 8,192 is four sevenths of the way from 1 / 4,096 to 1 / 32,768: 1 / (1/12 − 4/7 (1/12 − 1/15)) = 420/31.
  const GpuProfile gpu = measured();
  const Problem p = problem(4096 * 8, 8, Mask::kCausal);
  const double half = 4096.0 * 4097 / 2, full = 4096.0 * 4096, operations = 4.0 * 128 * 32;
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 1, 1)), operations * half / (35 * 12 * 1e12) + gpu.launch_s, 1e-15);
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 2, 2)),
              operations * (2 * half / (35 * 420 / 31.0 * 1e12) + full / (40 * 420 / 31.0 * 1e12)) + gpu.launch_s,
              1e-15);
}

TEST(CostModel, OtherBlocksTakeTheirPairsAtTheCausalRate) {
  // A cell of 4,096 tokens with itself under a window of 1,024: the first 1,023 queries see 1 … 1,023 keys, the other
  // 3,073 see 1,024. Documents of half a cell under the full mask: two squares of 2,048.
  const GpuProfile gpu = measured();
  Problem p = problem(4096 * 8, 8, {true, 1024, {}});
  const double window = 1023.0 * 1024 / 2 + 3073.0 * 1024, squares = 2 * 2048.0 * 2048, operations = 4.0 * 128 * 32;
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 1, 1)), operations * window / (35 * 12 * 1e12) + gpu.launch_s, 1e-15);
  p.mask = {false, 0, Documents(std::vector<std::int64_t>(16, 2048))};
  EXPECT_NEAR(kernel_s(gpu, one_kernel(p, 1, 1)), operations * squares / (35 * 12 * 1e12) + gpu.launch_s, 1e-15);
}

TEST(CostModel, AllKernelsOfAMaskTogetherDoTheWholeProblem) {
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

TEST(CostModel, MergingTakesItsBytes) {
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
  const std::vector<double> seconds = CostModel(measured(), p).times(s).seconds;
  EXPECT_DOUBLE_EQ(seconds[0], rows * (2 * 516 + 260) / 1e12 + 3e-6);
  EXPECT_DOUBLE_EQ(seconds[1], rows * (260 + 256 + 8) / 1e12 + 3e-6);
  EXPECT_THAT(CostModel(read_cluster("ideal-8x50", kTopologies).gpu, p).times(s).seconds, ::testing::Each(0));
}

/// Two partial dQ of 1,024 tokens × 32 heads, 512 bytes each in fp32, into one of 256: at the rate of gradients.
TEST(CostModel, SummingGradientsHasARateOfItsOwn) {
  const Problem p = problem(4096, 4, Mask::kFull, Pass::kBackward);
  ScheduleBuilder b(p);
  const RegionId region = b.chunk_region(0, Tensor::kDQ);
  const ValueId partials[] = {b.input(0, Tensor::kDQ, region, Dtype::kFp32),
                              b.input(0, Tensor::kDQ, region, Dtype::kFp32)};
  b.combine(partials, Dtype::kBf16);
  EXPECT_DOUBLE_EQ(CostModel(measured(), p).times(b.finish()).seconds[0], 1024 * 32 * (2 * 512 + 256) / 0.8e12 + 3e-6);
}

/// The second rectangle that contributes to an accumulator pays for merging: it reads and writes the accumulator and
/// reads the contribution.
TEST(CostModel, LaterContributionsAreMerged) {
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    const Problem p = problem(4096, 4, Mask::kFull, pass);
    const auto steps = [](std::vector<TileStep> compute) {
      compute.insert(compute.begin(), 3, Hop::kColumnIn);
      return compute;
    };
    OrderedTile plan{{1, 4}, pass, steps({Rectangle{0, 1, 0, 2}, Rectangle{0, 1, 2, 4}}), 0, 0, 0};
    if (pass == Pass::kBackward) plan.steps.insert(plan.steps.end(), 3, Hop::kColumnOut);
    const Schedule s = mesh(p, plan, Dtype::kFp32);
    const std::vector<double> seconds = CostModel(measured(), p).times(s).seconds;
    std::vector<double> rectangles;
    for (OpId op = s.ops_begin(0); op < s.ops_end(0); ++op)
      if (std::holds_alternative<Attend>(s.ops[op]) || std::holds_alternative<AttendBackward>(s.ops[op]))
        rectangles.push_back(seconds[op]);
    ASSERT_EQ(rectangles.size(), 2u);
    // 1,024 tokens × 32 heads: O of 512 bytes + 4 of log-sum-exp a row, dQ of 512; columns begin new accumulators in
    // both rectangles.
    const double sum_bytes = 1024.0 * 32 * (pass == Pass::kForward ? 516 : 512);
    const double rate = pass == Pass::kForward ? 1e12 : 0.8e12;  // outputs are merged, gradients summed
    EXPECT_NEAR(rectangles[1] - rectangles[0], 3 * sum_bytes / rate + 3e-6, 1e-15);
    // A framework that merges O with 38 bytes per element, not 12; gradients are added as before.
    GpuProfile by_op = measured();
    by_op.framework.merge_bytes = 38;
    const std::vector<double> slower = CostModel(by_op, p).times(s).seconds;
    const double more =
        std::accumulate(slower.begin(), slower.end(), 0.0) - std::accumulate(seconds.begin(), seconds.end(), 0.0);
    EXPECT_NEAR(more, pass == Pass::kForward ? 4 * 26 / 4.0 * sum_bytes / 1e12 : 0, 1e-12);  // on each of four ranks
    GpuProfile by_gradient = measured();
    by_gradient.framework.gradient_kernels = 3;
    const std::vector<double> launched = CostModel(by_gradient, p).times(s).seconds;
    const double launches =
        std::accumulate(launched.begin(), launched.end(), 0.0) - std::accumulate(seconds.begin(), seconds.end(), 0.0);
    EXPECT_NEAR(launches, pass == Pass::kForward ? 0 : 4 * 2 * 3e-6, 1e-12);
  }
}

/// Thread blocks of a rectangle are of its queries forward and of its keys backward, for every head and batch item. 2 ×
/// 3 cells of 1,024 tokens, 32 heads, 3 items on 100 SMs: 1,536 are 15.36 waves, 2,304 are 23.04.
TEST(CostModel, ThreadBlocksAreOfQueriesForwardAndOfKeysBackward) {
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

}  // namespace
}  // namespace meshattn
