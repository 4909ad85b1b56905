#include "core/planner/placement_search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/planner/tolerances.h"

namespace meshattn {
namespace {

Cluster shared_nics(double flops_per_s) {
  Cluster c;
  c.gpu.attention_flops_per_s = flops_per_s;
  c.node = {.gpus = 4, .link_bytes_per_s = 400e9, .gpus_per_nic = 4, .nic_bytes_per_s = 10e9};
  return c;
}

/// Nodes of 4 GPUs at one NIC, 64 ranks, tile 8x8, MHA, bf16 partials: a hop takes as long as what the GPUs at the edge
/// of a node's grid s×t send over its NIC, in chunks 7·(1 + 1)·t + 7·2·s: 70 for 1x4 and 4x1 (linear), 56 for 2x2.
Request request_of_64(double flops_per_s) {
  Request r{
      .problem = {
          {64 * 256L, 64 * 256L, 1, 8, 8, 64, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 64}};
  r.algorithm = "mesh";
  r.options.tile = {8, 8};
  r.wire = Dtype::kBf16;
  r.cluster = shared_nics(flops_per_s);
  return r;
}

std::string placement_of(const Request& request) { return make_plan(request).placement.name; }

int slices_of(const Request& request) { return make_plan(request).phases.front().configuration.form.slices; }

/// Seconds of all phases, by estimate.
double estimate_s(const Plan& plan) {
  double sum_s = 0;
  for (const Phase& phase : plan.phases) sum_s += phase.estimate_s;
  return sum_s;
}

TEST(PlacementSearch, TakesTheFastest) {
  Request r = request_of_64(1e15);  // communication decides
  const Plan linear = make_plan(r);
  r.placement = SearchRule{};
  const Plan best = make_plan(r);
  EXPECT_EQ(linear.placement.name, "linear");
  EXPECT_EQ(best.placement.name, "grid:2x2");
  EXPECT_NEAR(estimate_s(linear) / estimate_s(best), 70.0 / 56, 0.02);
}

/// Blocks so long that all placements take the same: the NICs of 2x2 carry least.
TEST(PlacementSearch, OfEqualsTakesTheLeastLoaded) {
  Request r = request_of_64(1e10);
  r.placement = SearchRule{};
  EXPECT_EQ(placement_of(r), "grid:2x2");
}

TEST(PlacementSearch, IsLinearWhereThereIsNoChoice) {
  Request r = request_of_64(1e12);
  r.options.tile = {1, 64};
  r.placement = SearchRule{};
  EXPECT_EQ(placement_of(r), "linear");
}

TEST(PlacementSearch, RulesThatNameAPlacementAreKeptTo) {
  Request r = request_of_64(1e12);
  EXPECT_EQ(placement_of(r), "linear");
  r.placement = Grid{1, 4};
  EXPECT_EQ(placement_of(r), "grid:1x4");
  r.placement = Grid{8, 8};
  EXPECT_THROW((void)make_plan(r), InvalidInput);
}

/// Heads that are shared out among 2 ranks a slot, 4 to each with 2 of keys: at most 2 slices.
TEST(PlacementSearch, CutsHeadsOnlyWhereTheyCanBe) {
  Request r = request_of_64(1e15);
  r.problem.shape.kv_heads = 4;
  r.algorithm = "ulysses-mesh";
  r.options = {.tile = Tile{4, 8}, .ulysses = 2, .slices = 0};
  const Configuration open = configure(r).front();
  EXPECT_TRUE(open.choose_slices);
  EXPECT_EQ(open.form.slices, 1);
  const Plan plan = make_plan(r);
  EXPECT_FALSE(plan.phases.front().configuration.choose_slices);
  EXPECT_LE(plan.phases.front().configuration.form.slices, 2);
  r.cluster = shared_nics(1e8);  // blocks so long that nothing can be gained
  EXPECT_EQ(slices_of(r), 1);
}

/// 8x8 on nodes of four GPUs with a NIC each: linear rows leave a node by one GPU, its NIC carries all; four slices
/// leave by all four.
TEST(PlacementSearch, TakesSlicesWhereOneNicCarriesAll) {
  Request r = request_of_64(1e15);
  r.options.slices = 0;
  r.cluster.node.gpus_per_nic = 1;
  EXPECT_GT(slices_of(r), 1);
}

/// The least memory that a request's refusal names; 0 if it is not refused.
std::uint64_t least_memory(const Request& request) {
  try {
    (void)make_plan(request);
  } catch (const MemoryLimitTooLow& e) {
    return e.least();
  }
  return 0;
}

/// No plan in one slice fits, one in several does; and where none does, the least of one slice is told.
TEST(PlacementSearch, TakesSlicesWhereOneDoesNotFit) {
  Request open = request_of_64(1e12);
  open.options.slices = 0;
  Request cut = request_of_64(1e12);
  cut.options.slices = 4;
  open.memory_limit = cut.memory_limit = 1;
  const std::uint64_t whole = least_memory(open), sliced = least_memory(cut);
  ASSERT_LT(sliced, whole);
  open.memory_limit = (sliced + whole) / 2;
  EXPECT_GT(slices_of(open), 1);
}

/// 128 slices take more lanes than there are: only possible numbers are tried.
TEST(PlacementSearch, LeavesOutSlicesThatAreNotPossible) {
  Request r = request_of_64(1e15);
  r.problem.ranks = 4;
  r.problem.shape = {4 * 64, 4 * 64, 1, 128, 128, 8, Dtype::kBf16};
  r.options = {.tile = Tile{2, 2}, .slices = 0};
  r.cluster.node.gpus = 128;
  EXPECT_LE(slices_of(r), 64);
}

/// Two ways to deal the tokens are tried where the mask has documents: light-seq, which refuses all but one, is left
/// with that one; where only refused ones are left, the refusal is told.
TEST(PlacementSearch, LeavesOutPartitionsThatAreRefused) {
  Request r = request_of_64(1e12);
  r.problem.mask = Mask::kCausal;
  r.algorithm = "light-seq";
  r.options = {};
  r.choose_partition = true;
  EXPECT_EQ(make_plan(r).partition(), Partition::kContiguous);
  r.choose_partition = false;
  r.problem.partition = Partition::kZigzag;
  EXPECT_THROW((void)make_plan(r), InvalidInput);
}

/// The partition with the least estimate, wherever it stands in the list that is tried. Documents of a chunk each need
/// no communication and equal work on contiguous chunks, the first of the list. Under one document as long as the
/// sequence and a short one contiguous chunks are uneven, and compute decides.
TEST(PlacementSearch, TakesTheFasterPartition) {
  const auto chosen = [](const std::vector<std::int64_t>& lengths) {
    Request r = request_of_64(1e10);
    r.problem.mask = Mask::kCausal;
    r.problem.mask.documents = Documents(lengths);
    r.choose_partition = true;
    const Partition best = make_plan(r).partition();
    r.choose_partition = false;
    Partition fastest = best;
    double least_s = 1e9;
    for (Partition partition : usual_partitions(r.problem.mask, "mesh")) {
      r.problem.partition = partition;
      const double seconds = estimate_s(make_plan(r));
      if (seconds < least_s * (1 - kAsFast)) fastest = partition;
      least_s = std::min(least_s, seconds);
    }
    EXPECT_EQ(best, fastest);
    return best;
  };
  EXPECT_EQ(chosen(std::vector<std::int64_t>(64, 256)), Partition::kContiguous);
  EXPECT_EQ(chosen({64 * 256 - 64, 64}), Partition::kZigzag);
}

/// Two passes count together: the best of their sum is taken, even where one pass alone would do better elsewhere, as
/// it does in some of these.
TEST(PlacementSearch, AddsUpThePasses) {
  int torn = 0;
  for (Tile tile : {Tile{4, 16}, Tile{8, 8}, Tile{16, 4}})
    for (Tile backward_tile : {Tile{4, 16}, Tile{16, 4}, Tile{32, 2}})
      for (Pass last : {Pass::kForward, Pass::kBackward}) {
        Request r = request_of_64(1e14);
        r.options = {.tile = tile, .tile_backward = backward_tile};
        r.passes = {Pass::kForward, Pass::kBackward};
        if (last == Pass::kForward) std::ranges::reverse(r.passes);
        double least_s = 1e9, least_of_last_s = 1e9;
        for (Grid grid : grids_of(last == Pass::kBackward ? tile : backward_tile, 1, 4)) {
          // The grid is that of the first pass's tile; the other tile sits on the same GPUs.
          r.placement = grid;
          const Plan plan = make_plan(r);
          least_s = std::min(least_s, estimate_s(plan));
          least_of_last_s = std::min(least_of_last_s, plan.phases.back().estimate_s);
        }
        r.placement = SearchRule{};
        const Plan both = make_plan(r);
        EXPECT_LE(estimate_s(both), 1.0011 * least_s);
        torn += both.phases.back().estimate_s > 1.01 * least_of_last_s;
      }
  EXPECT_GT(torn, 0);
}

}  // namespace
}  // namespace meshattn
