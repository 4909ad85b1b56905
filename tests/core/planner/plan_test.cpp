#include "core/planner/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/algorithms/catalogue.h"
#include "core/cluster/cluster_file.h"
#include "core/execution/estimate.h"
#include "core/planner/tile_costs.h"
#include "core/report/volume.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/verify.h"

namespace meshattn {
namespace {

/// 4 GPUs a node, 400 GB/s inside, one 50 GB/s NIC a GPU, 1 µs a message, 1 TFLOP/s.
const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

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

Configuration request_of(int ranks, Tile tile, Pass pass = Pass::kForward) {
  Configuration r;
  r.problem = {
      {ranks * 256L, ranks * 256L, 1, 8, 8, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, pass, ranks};
  r.form.tile = tile;
  return r;
}

Phase plan_on_small_cluster(const Configuration& r) {
  return plan_phase(r, Network(small_cluster(), r.problem.ranks), CostModel(small_cluster().gpu, r.problem));
}

/// Chunk of Q: 256·8·64·2 B = 256 KiB; KV twice that; a partial O in fp32 512 KiB and 4·256·8 B = 8 KiB of log-sum-exp.
/// Tile 2x4 on nodes of 4: rows are neighbours within a node: 1 µs + 256 KiB / 400 GB/s. Columns are 2 apart and cross
/// nodes at their ends, each GPU over its own NIC: 1 µs + 512 KiB / 50 GB/s.
TEST(TileCosts, PriceAHopAtItsSlowestLink) {
  const Configuration r = request_of(8, {2, 4});
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
  Configuration r = request_of(8, {2, 4}, Pass::kBackward);
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
  const Configuration r = request_of(8, {2, 4});
  Cluster c = small_cluster();
  c.node.gpus_per_nic = 4;
  const TileCosts shared = tile_costs(r, Network(c, 8), CostModel(c.gpu, r.problem));
  EXPECT_DOUBLE_EQ(shared.column_in, 1e-6 + 2 * 524288 / 50e9);
}

/// Two ranks at each of four places, tile 1x4, one key/value head for both, so that each has a copy of it. A place's KV
/// is two chunks of 1/8 of the 512 KiB above, and comes to each of its ranks: a hop is a chunk of KV for a rank,
/// 2 · 64 KiB, over the NIC of the rank alone. Half the heads of two chunks by two: 4·512²·64·8/2 operations a block.
TEST(TileCosts, OfHeadsThatPlacesShareOut) {
  Configuration r = request_of(8, {1, 4});
  r.problem.shape.kv_heads = 1;
  r.form.ulysses = 2;
  const TileCosts c = tile_costs(r, Network(small_cluster(), 8), CostModel(small_cluster().gpu, r.problem));
  EXPECT_DOUBLE_EQ(c.column_in, 1e-6 + 2 * 65536 / 50e9);
  EXPECT_DOUBLE_EQ(c.block, 4.0 * 512 * 512 * 64 * 8 / 2 / 1e12);
}

/// A double ring of two windows of four, each a node: three hops within the node, 1 µs + 512 KiB / 400 GB/s, before and
/// three after the one that crosses, 1 µs + 512 KiB / 50 GB/s: the mean of seven.
TEST(TileCosts, OfADoubleRingAreTheMeanOfItsHops) {
  Configuration r = request_of(8, {1, 8});
  r.form.inner = 4;
  const TileCosts c = tile_costs(r, Network(small_cluster(), 8), CostModel(small_cluster().gpu, r.problem));
  EXPECT_DOUBLE_EQ(c.column_in, (7 * 1e-6 + 6 * (524288 / 400e9) + 524288 / 50e9) / 7);
}

/// Tile 2x4 on nodes of 4: a GPU's port carries its row's Q and O, 256 KiB and 520 KiB, and half of its three KV hops;
/// the NICs carry the other half, three times 512 KiB, slower: what two lanes cannot do without.
TEST(TileCosts, KnowTheBusiestLinkOfAllHops) {
  const Configuration r = request_of(8, {2, 4});
  const TileCosts c = tile_costs(r, Network(small_cluster(), 8), CostModel(small_cluster().gpu, r.problem));
  EXPECT_DOUBLE_EQ(c.busiest_link, 3 * 524288 / 50e9);
}

/// Forward 2·(a − 1) + (b − 1) transfers to a rank, backward twice that; at most 2^24 in all.
TEST(MakePlan, CountsTheTransfersOfBothPasses) {
  const auto refusal = [](Configuration r) {
    try {
      (void)plan_on_small_cluster(r);
    } catch (const InvalidInput& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  Configuration r = request_of(4096, {2048, 2}, Pass::kBackward);
  EXPECT_THAT(refusal(r), ::testing::HasSubstr("mesh 2048x2 takes 8190 transfers to each of 4096 ranks"));
  r = request_of(16384, {128, 128});
  r.form.slices = 8;
  EXPECT_THAT(refusal(r), ::testing::HasSubstr("takes 3048 transfers"));
  r = request_of(16384, {1, 16});
  r.form.ulysses = 1024;
  r.problem.shape.heads = r.problem.shape.kv_heads = 1024;
  EXPECT_THAT(refusal(r), ::testing::HasSubstr("takes 18429 transfers to each of 16384 ranks"));
}

/// TokenRing merges what comes home as it comes: a rank holds no more partial results with more ranks.
TEST(MakePlan, DirectPartialResultsDoNotPileUp) {
  const auto peak = [](int ranks) {
    Configuration r = request_of(ranks, {ranks, 1});
    r.form.out = Travel::kDirect;
    r.order = Order::kOptimal;
    return static_cast<double>(plan_on_small_cluster(r).schedule.peak_bytes);
  };
  EXPECT_LE(peak(16), 1.1 * peak(8));
}

TEST(MakePlan, IsProvedForEveryTileOrderAndPass) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal})
      for (int ranks : {1, 2, 3, 4, 8, 12, 16})
        for (Tile tile : tiles_of(ranks)) {
          Configuration r = request_of(ranks, tile, pass);
          r.order = order;
          r.problem.mask = Mask::kCausal;
          r.problem.partition = Partition::kZigzag;
          const Phase plan = plan_on_small_cluster(r);
          const std::vector<Finding> findings = verify(plan.schedule);
          EXPECT_TRUE(findings.empty()) << tile.rows << 'x' << tile.columns << ": " << findings.front().what;
        }
}

/// The planner counts what is live; the allocator also has gaps between values of different sizes. They must stay few.
TEST(MakePlan, PlannedMemoryIsAllocatedMemory) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal})
      for (Tile tile : tiles_of(16)) {
        Configuration r = request_of(16, tile, pass);
        r.order = order;
        Phase plan = plan_on_small_cluster(r);
        assign_memory(plan.schedule);
        EXPECT_LE(static_cast<double>(plan.schedule.peak_bytes),
                  1.1 * static_cast<double>(plan.ordered_tile.peak_bytes))
            << name_of(pass) << ' ' << name_of(order) << ' ' << tile.rows << 'x' << tile.columns;
      }
}

/// Without a limit, no op starts later in the planned times for having to wait until it may use bytes again.
TEST(MakePlan, ReuseWaitsDelayNothingThatIsPlanned) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Mask mask : {Mask::kFull, Mask::kCausal})
      for (double flops_per_s : {2e11, 1e12, 5e12})
        for (Tile tile : tiles_of(16)) {
          Configuration r = request_of(16, tile, pass);
          r.problem.mask = mask;
          GpuProfile gpu = small_cluster().gpu;
          gpu.attention_flops_per_s = flops_per_s;
          const Network network(small_cluster(), 16);
          const CostModel cost(gpu, r.problem);
          Schedule s = plan_phase(r, network, cost).schedule;
          const Trace with_waits = estimate(s, network, cost.times(s), Receive::kAsListed);
          s.waits.clear();
          const Trace without = estimate(s, network, cost.times(s), Receive::kAsListed);
          for (OpId op = 0; op < s.ops.size(); ++op) ASSERT_NEAR(with_waits.start_s[op], without.start_s[op], 2e-9);
        }
}

/// Every limit is kept or refused with the least, and the least that the refusal names is kept. What was returned under
/// one limit, or something as fast, is returned under a limit of just its size.
TEST(MakePlan, KeepsToAMemoryLimitOrSaysTheLeast) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
      for (Tile tile : {Tile{1, 16}, Tile{4, 4}, Tile{8, 2}, Tile{16, 1}}) {
        Configuration r = request_of(16, tile, pass);
        r.problem.mask = Mask::kCausal;
        r.problem.partition = partition;
        const std::uint64_t free = plan_on_small_cluster(r).schedule.peak_bytes;
        std::uint64_t refused = 0, kept = UINT64_MAX;
        for (std::uint64_t limit = free; limit > free / 4 && refused == 0; limit -= free / 10) {
          r.memory_limit = limit;
          try {
            const Phase plan = plan_on_small_cluster(r);
            kept = plan.schedule.peak_bytes;
            EXPECT_LE(kept, limit);
            EXPECT_TRUE(verify(plan.schedule).empty());
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

/// Hops of 33,333 tokens are start-ups and little else, of which the dense tile's prices tell little: what is ordered
/// for others is estimated to be a fifth faster than every order by name.
TEST(MakePlan, OrdersForOtherPricesToo) {
  const Cluster c = read_cluster("dgx-b200", kTopologies);
  Configuration r = request_of(32, {8, 4}, Pass::kBackward);
  r.problem.shape = {33'333, 33'333, 1, 16, 2, 128, Dtype::kBf16};
  r.wire = Dtype::kBf16;
  const auto estimate_s = [&] { return plan_phase(r, Network(c, 32), CostModel(c.gpu, r.problem)).estimate_s; };
  const double free_s = estimate_s();
  for (Order order : {Order::kNaive, Order::kGreedy, Order::kOptimal, Order::kTopology}) {
    r.order = order;
    EXPECT_LT(free_s, 0.85 * estimate_s()) << name_of(order);
  }
}

/// Four slices that gather less are estimated to be a tenth faster than those that are planned first: they are found
/// whatever the limit.
TEST(MakePlan, FindsLeanerVariantsOfSlicesToo) {
  const Cluster c = read_cluster("dgx-a100", kTopologies);
  Configuration r = request_of(8, {2, 4});
  r.problem.shape = {65'536, 65'536, 1, 16, 16, 128, Dtype::kBf16};
  r.form.slices = 4;
  const auto estimate_s = [&] { return plan_phase(r, Network(c, 8), CostModel(c.gpu, r.problem)).estimate_s; };
  const double free_s = estimate_s();
  r.memory_limit = 466'714'624;
  EXPECT_LE(free_s, 1.001 * estimate_s());
}

TEST(MakePlan, RefusesWhatNoMachineCouldHold) {
  Configuration r = request_of(65536, {1, 65536});
  EXPECT_THROW((void)plan_phase(r, Network(small_cluster(), 65536), CostModel(small_cluster().gpu, r.problem)),
               InvalidInput);
}

}  // namespace
}  // namespace meshattn
