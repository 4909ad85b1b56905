#include "core/plan.h"

#include <gtest/gtest.h>

#include "core/algorithms.h"
#include "core/estimate.h"
#include "core/passes/liveness.h"
#include "core/passes/validate.h"
#include "core/passes/volume.h"

namespace meshattn {
namespace {

/// 4 GPUs a node, 400 GB/s inside, one 50 GB/s NIC a GPU, 1 µs a message, 1 TFLOP/s.
Cluster small_cluster() {
  Cluster c;
  c.name = "small";
  c.gpu.name = "flat";
  c.gpu.attention_flops_per_s = 1e12;
  c.node.gpus = 4;
  c.node.link_bytes_per_s = 400e9;
  c.node.link_startup_s = 1e-6;
  c.node.nic_bytes_per_s = 50e9;
  c.node.nic_startup_s = 1e-6;
  return c;
}

PlanRequest request_of(int ranks, Tile tile, Pass pass = Pass::kForward) {
  PlanRequest r;
  r.problem = {
      {ranks * 256L, ranks * 256L, 1, 8, 8, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, pass, ranks};
  r.method.form.tile = tile;
  return r;
}

Plan plan_on_small_cluster(const PlanRequest& r) {
  return make_plan(r, Network(small_cluster(), r.problem.ranks), CostModel(small_cluster().gpu, r.problem));
}

/// Chunk of Q: 256·8·64·2 B = 256 KiB; KV twice that; a partial O in fp32 512 KiB and 4·256·8 B = 8 KiB of log-sum-exp.
/// Tile 2x4 on nodes of 4: rows are neighbours within a node: 1 µs + 256 KiB / 400 GB/s. Columns are 2 apart and cross
/// nodes at their ends, each GPU over its own NIC: 1 µs + 512 KiB / 50 GB/s.
TEST(TileCosts, PriceAHopAtItsSlowestLink) {
  const PlanRequest r = request_of(8, {2, 4});
  const TileCosts c = tile_costs(r, Network(small_cluster(), 8), CostModel(small_cluster().gpu, r.problem));
  EXPECT_DOUBLE_EQ(c.row_in, 1e-6 + 262144 / 400e9);
  EXPECT_DOUBLE_EQ(c.column_in, 1e-6 + 524288 / 50e9);
  EXPECT_DOUBLE_EQ(c.row_out, 1e-6 + (524288 + 8192) / 400e9);
  EXPECT_DOUBLE_EQ(c.column_out, 0);
  EXPECT_DOUBLE_EQ(c.block, 4.0 * 256 * 256 * 64 * 8 / 1e12);
}

/// Backward on the same tile: Q and dO in bf16 with 8 B of delta for each of 256·8 rows; dQ and dKV in the wire's
/// dtype.
TEST(TileCosts, OfTheBackwardPass) {
  PlanRequest r = request_of(8, {2, 4}, Pass::kBackward);
  for (Dtype wire : {Dtype::kFp32, Dtype::kBf16}) {
    r.wire = wire;
    const TileCosts c = tile_costs(r, Network(small_cluster(), 8), CostModel(small_cluster().gpu, r.problem));
    const double width = wire == Dtype::kFp32 ? 2 : 1;
    EXPECT_DOUBLE_EQ(c.row_in, 1e-6 + (2 * 262144 + 256 * 8 * 8) / 400e9);
    EXPECT_DOUBLE_EQ(c.column_in, 1e-6 + 524288 / 50e9);
    EXPECT_DOUBLE_EQ(c.row_out, 1e-6 + width * 262144 / 400e9);
    EXPECT_DOUBLE_EQ(c.column_out, 1e-6 + width * 524288 / 50e9);
    EXPECT_DOUBLE_EQ(c.block, 2.5 * 4.0 * 256 * 256 * 64 * 8 / 1e12);
  }
}

/// Four GPUs to one NIC: a hop of all 2-apart column rings sends from both ends of each node, 2 GPUs at once.
TEST(TileCosts, CountTheLoadOfSharedLinks) {
  const PlanRequest r = request_of(8, {2, 4});
  Cluster c = small_cluster();
  c.node.gpus_per_nic = 4;
  const TileCosts shared = tile_costs(r, Network(c, 8), CostModel(c.gpu, r.problem));
  EXPECT_DOUBLE_EQ(shared.column_in, 1e-6 + 2 * 524288 / 50e9);
}

TEST(MakePlan, IsProvedForEveryTileOrderAndPass) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal})
      for (int ranks : {1, 2, 3, 4, 8, 12, 16})
        for (Tile tile : tiles_of(ranks)) {
          PlanRequest r = request_of(ranks, tile, pass);
          r.order = order;
          r.problem.mask = Mask::kCausal;
          r.problem.partition = Partition::kZigzag;
          const Plan plan = plan_on_small_cluster(r);
          const std::vector<Finding> findings = validate(plan.schedule);
          EXPECT_TRUE(findings.empty()) << tile.rows << 'x' << tile.columns << ": " << findings.front().what;
        }
}

/// The planner counts what is live; the allocator also has gaps between values of different sizes. They must stay few.
TEST(MakePlan, PlannedMemoryIsAllocatedMemory) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal})
      for (Tile tile : tiles_of(16)) {
        PlanRequest r = request_of(16, tile, pass);
        r.order = order;
        Plan plan = plan_on_small_cluster(r);
        assign_memory(plan.schedule);
        EXPECT_LE(static_cast<double>(plan.schedule.peak_bytes), 1.1 * static_cast<double>(plan.tile_plan.peak_bytes))
            << name_of(pass) << ' ' << name_of(order) << ' ' << tile.rows << 'x' << tile.columns;
      }
}

/// Without a limit, no op starts later in the planned times for having to wait until it may use bytes again.
TEST(MakePlan, ReuseWaitsDelayNothingThatIsPlanned) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Mask mask : {Mask::kFull, Mask::kCausal})
      for (double flops_per_s : {2e11, 1e12, 5e12})
        for (Tile tile : tiles_of(16)) {
          PlanRequest r = request_of(16, tile, pass);
          r.problem.mask = mask;
          GpuProfile gpu = small_cluster().gpu;
          gpu.attention_flops_per_s = flops_per_s;
          const Network network(small_cluster(), 16);
          const CostModel cost(gpu, r.problem);
          Schedule s = make_plan(r, network, cost).schedule;
          const Trace with_waits = estimate(s, network, cost.seconds(s), Receive::kAsListed);
          s.waits.clear();
          const Trace without = estimate(s, network, cost.seconds(s), Receive::kAsListed);
          for (OpId op = 0; op < s.ops.size(); ++op) ASSERT_NEAR(with_waits.start_s[op], without.start_s[op], 2e-9);
        }
}

/// Every limit is kept or refused with the least, and the least that the refusal names is kept. What was returned under
/// one limit, or something as fast, is returned under a limit of just its size.
TEST(MakePlan, KeepsToAMemoryLimitOrSaysTheLeast) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
      for (Tile tile : {Tile{1, 16}, Tile{4, 4}, Tile{8, 2}, Tile{16, 1}}) {
        PlanRequest r = request_of(16, tile, pass);
        r.problem.mask = Mask::kCausal;
        r.problem.partition = partition;
        const std::uint64_t free = plan_on_small_cluster(r).schedule.peak_bytes;
        std::uint64_t refused = 0, kept = UINT64_MAX;
        for (std::uint64_t limit = free; limit > free / 4 && refused == 0; limit -= free / 10) {
          r.memory_limit = limit;
          try {
            const Plan plan = plan_on_small_cluster(r);
            kept = plan.schedule.peak_bytes;
            EXPECT_LE(kept, limit);
            EXPECT_TRUE(validate(plan.schedule).empty());
            r.memory_limit = kept;
            EXPECT_LE(plan_on_small_cluster(r).estimate_s, plan.estimate_s * (1 + 1e-5));
          } catch (const MemoryLimitTooLow& e) {
            refused = limit;
            r.memory_limit = e.least();
          }
        }
        EXPECT_GT(refused, 0u);
        EXPECT_GT(r.memory_limit, refused);
        EXPECT_LE(r.memory_limit, kept);
        EXPECT_LE(plan_on_small_cluster(r).schedule.peak_bytes, r.memory_limit);
      }
}

TEST(MakePlan, RefusesWhatNoMachineCouldHold) {
  PlanRequest r = request_of(65536, {1, 65536});
  EXPECT_THROW((void)make_plan(r, Network(small_cluster(), 65536), CostModel(small_cluster().gpu, r.problem)),
               InvalidInput);
}

}  // namespace
}  // namespace meshattn
