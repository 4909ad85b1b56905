#include <gtest/gtest.h>

#include <numeric>

#include "core/algorithms/choose.h"
#include "core/algorithms/chunks.h"
#include "core/base/invalid_option.h"
#include "core/execution/cpu/executor.h"
#include "core/execution/estimate.h"
#include "core/planner/plan.h"
#include "core/report/volume.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/passes/verify/findings.h"
#include "tests/support/proof.h"

/// An algorithm that the catalogue does not have: all that a stranger's file would say, and all that can be done with
/// it. core/algorithms/README.md explains this file.
namespace meshattn {
namespace {

constexpr int kStride = 3;

/// Keys and values go round in strides: rank r receives from rank r − 3. All transfers are named before the
/// accumulators, which must have larger ids than the values that they are made from.
Schedule generate(const Configuration& c, std::span<const TileStep>) {
  ScheduleBuilder b(c.problem);
  const auto n = static_cast<std::size_t>(c.problem.ranks);
  const ByRank q = own_chunks(b, Tensor::kQ);
  std::vector<ByRank> kv{own_chunks(b, Tensor::kKV)};  // by hop
  std::vector<std::vector<TransferId>> hops(n + 1);    // the first and the last are empty
  for (std::size_t hop = 1; hop < n; ++hop) {
    kv.emplace_back(n);
    for (std::size_t from = 0; from < n; ++from) {
      const std::size_t to = (from + kStride) % n;
      hops[hop].push_back(b.transfer(kv[hop - 1][from], static_cast<Rank>(to), kOnlyLane));
      kv[hop][to] = b.made(hops[hop].back());
    }
  }
  ByRank o;
  for (ValueId rows : q) o.push_back(b.declare(b.value(rows).rank, Tensor::kO, b.value(rows).region, Dtype::kFp32));
  for (std::size_t hop = 0; hop < n; ++hop) {
    b.exchange_all(hops[hop + 1]);  // moves while these blocks are attended
    for (std::size_t r = 0; r < n; ++r)
      b.attend(static_cast<Rank>(r), std::vector{AttendRow{q[r], o[r]}}, std::vector{kv[hop][r]});
  }
  for (ValueId accumulator : o) hand_out(b, {accumulator});
  return b.finish();
}

Algorithm stride_ring() {
  return {.name = "stride-ring",
          .summary = "a ring in strides of three",
          .forward_only = true,
          .form =
              [](const FormRequest& request) {
                return MeshForm{.tile = fixed_tile(request, {1, request.problem.ranks}), .steps = Steps::kOwn};
              },
          .generate = generate};
}

/// Nodes of 4 GPUs.
Cluster small_cluster() {
  Cluster c;
  c.gpu.attention_flops_per_s = 1e12;
  c.node = {.gpus = 4, .link_bytes_per_s = 400e9, .link_startup_s = 1e-6, .nic_bytes_per_s = 50e9};
  return c;
}

TEST(NewAlgorithm, IsPlannedProvedRunAndEstimated) {
  const Algorithm algorithm = stride_ring();
  const Cluster cluster = small_cluster();
  for (int n : {1, 2, 4, 8})
    for (const Mask& mask : {Mask::kFull, Mask::kCausal}) {
      ASSERT_EQ(std::gcd(n, kStride), 1);
      const Problem p{{8 * n, 8 * n, 1, 4, 2, 4, Dtype::kBf16}, mask, Partition::kZigzag, Pass::kForward, n};
      const Network network(cluster, n);
      const Phase phase = plan_phase(configure(algorithm, p, {}, 4), network, CostModel(cluster.gpu, p));
      const Schedule& s = phase.schedule;
      for (const Finding& finding : verify(s)) ADD_FAILURE() << finding_text(finding);

      const cpu::Tensors dense = testing::dense_tensors(p.shape, mask);
      EXPECT_LE(testing::error_of(cpu::run(s, dense, cpu::Precision::kFp64, cpu::Threading::kPerLane), dense, p.pass),
                1e-12);

      // n blocks one after the other, and as much as a ring moves.
      EXPECT_GT(phase.estimate_s, 0);
      EXPECT_GE(phase.estimate_s, busiest_compute_s(s, network, phase.times.seconds));
      if (mask.is_full()) {
        EXPECT_DOUBLE_EQ(volume_of(s, network).chunks_received_avg, n - 1);
      }
    }
}

TEST(NewAlgorithm, TakesNoOptionsThatItDoesNotName) {
  const Algorithm algorithm = stride_ring();
  const Problem p{{64, 64, 1, 4, 2, 4, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 8};
  for (const Options& options :
       {Options{.ulysses = 2}, Options{.slices = 2}, Options{.tile = Tile{2, 4}}, Options{.inner = 4}})
    EXPECT_THROW((void)configure(algorithm, p, options, 4), InvalidOption);
  EXPECT_EQ(algorithm.variants(p, {}).size(), 1u);
}

/// A generator without Steps::kOwn would be planned as a mesh, and Steps::kOwn without a generator has no steps.
TEST(NewAlgorithm, HasAGeneratorExactlyIfItsStepsAreItsOwn) {
  const Problem p{{64, 64, 1, 4, 2, 4, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 8};
  const auto own = stride_ring().form;
  const auto planned = [](const FormRequest& request) { return MeshForm{.tile = {1, request.problem.ranks}}; };
  Algorithm algorithm = stride_ring();
  EXPECT_NO_THROW((void)configure(algorithm, p, {}, 4));
  algorithm.form = planned;
  EXPECT_THROW((void)configure(algorithm, p, {}, 4), InvalidInput);
  algorithm.generate = generate_mesh;
  EXPECT_NO_THROW((void)configure(algorithm, p, {}, 4));
  algorithm.form = own;
  EXPECT_THROW((void)configure(algorithm, p, {}, 4), InvalidInput);
}

}  // namespace
}  // namespace meshattn
