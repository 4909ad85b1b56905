#include "core/algorithms/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <random>
#include <set>

#include "core/base/error.h"
#include "core/planner/grid_placement.h"
#include "core/planner/plan.h"
#include "core/report/volume.h"
#include "tests/support/masks.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

/// 4 GPUs a node, 400 GB/s inside, one 50 GB/s NIC a GPU, 1 µs a message, 1 TFLOP/s.
Cluster small_cluster() {
  Cluster c;
  c.gpu.attention_flops_per_s = 1e12;
  c.node = {
      .gpus = 4, .link_bytes_per_s = 400e9, .link_startup_s = 1e-6, .nic_bytes_per_s = 50e9, .nic_startup_s = 1e-6};
  return c;
}

/// Runs on whole nodes, or on one GPU a node.
Cluster cluster_for(int ranks) {
  Cluster c = small_cluster();
  if (ranks > 4 && ranks % 4 != 0) c.node.gpus = 1;
  return c;
}

struct Case {
  const Algorithm& algorithm;
  Options options;
};

/// Every algorithm with every variant on a number of ranks; then by direct exchange, and in slices.
std::vector<Case> everything(const Problem& p) {
  std::vector<Case> all;
  for (const Algorithm& algorithm : algorithms())
    for (Options options : algorithm.variants(p, {})) {
      if (algorithm.takes(Option::kInner)) options.inner = p.ranks % 2 == 0 ? 2 : 1;
      all.push_back({algorithm, options});
      options.exchange = Travel::kDirect;
      all.push_back({algorithm, options});
      options.exchange = {};
      options.slices = 2;
      all.push_back({algorithm, options});
    }
  return all;
}

std::string name_of(const Case& c, const Problem& p) {
  const Options& o = c.options;
  return fmt::format("{} {} ulysses {} {} slices {}: {}", c.algorithm.name, o.tile ? tile_text(*o.tile) : "no tile",
                     o.ulysses.value_or(0), o.slices, o.exchange ? "direct" : "ring", testing::describe(p));
}

/// Linear, or a grid of the form if there is one: rings then enter nodes at various ranks.
Placement placement_of(const MeshForm& form, int ranks, int per_node, bool on_grid) {
  if (!on_grid || !form.is_mesh()) return linear_placement(ranks);
  const std::vector<Grid> grids = grids_of(form.tile, form.ulysses, std::min(ranks, per_node));
  if (grids.empty()) return linear_placement(ranks);
  return grid_placement(grids[grids.size() / 2], form.tile, form.ulysses, std::min(ranks, per_node));
}

/// Plans a case, or returns nothing where it is refused with a reason of one line.
std::optional<Phase> plan_of(const Problem& p, const Case& c, Dtype wire, bool on_grid) {
  const Cluster cluster = cluster_for(p.ranks);
  try {
    Configuration configuration = configure(c.algorithm, p, c.options, cluster.node.gpus);
    configuration.wire = wire;
    const Network network(cluster, placement_of(configuration.form, p.ranks, cluster.node.gpus, on_grid));
    return plan_phase(configuration, network, CostModel(cluster.gpu, configuration.problem));
  } catch (const InvalidInput& e) {
    EXPECT_STRNE(e.what(), "");
    EXPECT_THAT(e.what(), ::testing::Not(::testing::HasSubstr("\n")));
    EXPECT_THAT(e.what(), ::testing::Not(::testing::HasSubstr("--")));
    return std::nullopt;
  }
}

class EveryAlgorithm : public ::testing::TestWithParam<int> {};

TEST_P(EveryAlgorithm, GivesWhatDenseAttentionGives) {
  const int n = GetParam();
  const std::vector<AttentionShape> shapes{{4 * n, 4 * n, 1, 8, 8, 2, Dtype::kBf16},
                                           {3 * n + 1, 3 * n + 1, 1, 8, 2, 2, Dtype::kFp32}};
  int planned = 0;
  Dtype wire = Dtype::kFp32;
  for (const AttentionShape& shape : shapes)
    for (const Mask& mask : {Mask::kFull, Mask::kCausal, Mask{true, shape.seq_q / 3 + 1, {}}}) {
      const cpu::Tensors dense = testing::dense_tensors(shape, mask);
      for (Partition partition : {Partition::kContiguous, Partition::kStriped, Partition::kZigzag})
        for (Pass pass : {Pass::kForward, Pass::kBackward}) {
          Problem p;
          p.shape = shape;
          p.mask = mask;
          p.partition = partition;
          p.pass = pass;
          p.ranks = n;
          for (const Case& c : everything(p)) {
            wire = wire == Dtype::kFp32 ? Dtype::kBf16 : Dtype::kFp32;
            if (const auto phase = plan_of(p, c, wire, planned % 3 == 0)) {
              testing::expect_right(phase->schedule, dense, name_of(c, p));
              ++planned;
            }
          }
        }
    }
  EXPECT_GT(planned, 0);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, EveryAlgorithm, ::testing::Values(1, 2, 3, 4, 5, 6, 8, 12));

/// A tile of 12 × 1 gathers 11 hops in two exchanges, 0, 2, … and 1, 3, …: six and five, from and to members that are
/// as far apart as they can be; partials leave in the same way.
TEST(Algorithms, GatherFromEightPeersAtOnce) {
  const Problem p{{96, 96, 1, 4, 4, 2, Dtype::kBf16}, Mask::kFull, Partition::kContiguous, Pass::kForward, 12};
  const auto phase = plan_of(p, {algorithm_of("attention-2d"), {.tile = Tile{12, 1}}}, Dtype::kFp32, false);
  ASSERT_TRUE(phase);
  const Schedule& s = phase->schedule;
  std::vector<std::set<int>> distances;  // of what each exchange of rank 0 brings
  for (OpId op = s.ops_begin(0); op < s.ops_end(0); ++op)
    if (const auto* exchange = std::get_if<Exchange>(&s.ops[op])) {
      distances.emplace_back();
      for (TransferId t : s.transfers_of(*exchange))
        if (s.values[s.transfers[t].made].rank == 0)
          distances.back().insert((12 - s.values[s.transfers[t].source].rank) % 12);
    }
  const std::set<int> odd{1, 3, 5, 7, 9, 11}, even{2, 4, 6, 8, 10};
  EXPECT_THAT(distances, ::testing::ElementsAre(odd, even, odd, even));
}

/// Chunks that each rank receives under the full mask when all chunks are alike; `w` is 2 where partials travel in fp32
/// and values in bf16. With u ranks in a slot, a rank's row of its tile is u chunks of 1/u of the heads: one chunk.
/// All-to-all: (u − 1)/u of Q, KV (c copies where heads are replicated) and O come; backward of dO, dQ and dKV, whose
/// replicated parts are partial. In the mesh a − 1 rows come and go back, and b − 1 columns; backward dO too, and
/// columns go back.
double chunks_of(const MeshForm& form, const Problem& p, double w) {
  const double a = form.tile.rows, b = form.tile.columns, u = form.ulysses, g = p.shape.group();
  const double copies = std::max(1.0, u / p.shape.kv_heads), kv = 2 / g * copies;
  const double others = (u - 1) / u;
  if (p.pass == Pass::kForward) return others * (1 + kv + 1) + (1 + w) * (a - 1) + kv * (b - 1);
  const double home = form.starts_at_owner && b > 1 ? w * kv : 0;  // the last hop of what also left there
  return others * (1 + 1 + kv * (copies > 1 ? w : 1)) + (2 + w) * (a - 1) + (1 + w) * kv * (b - 1) + home;
}

TEST(Algorithms, MoveWhatTheirClosedFormSays) {
  int compared = 0;
  for (int n : {2, 4, 6, 8, 16})
    for (int kv_heads : {1, 2, 8, 16})
      for (Pass pass : {Pass::kForward, Pass::kBackward})
        for (Dtype wire : {Dtype::kBf16, Dtype::kFp32}) {
          Problem p;
          p.shape = {4 * n, 4 * n, 1, 16, kv_heads, 8, Dtype::kBf16};
          p.pass = pass;
          p.ranks = n;
          for (const Case& c : everything(p)) {
            const auto phase = plan_of(p, c, wire, false);
            if (!phase || !phase->configuration.form.is_mesh()) continue;
            const double chunks = volume_of(phase->schedule, Network(cluster_for(n), n)).chunks_received_avg;
            EXPECT_NEAR(chunks, chunks_of(phase->configuration.form, p, wire == Dtype::kFp32 ? 2 : 1), 1e-9)
                << name_of(c, p);
            ++compared;
          }
        }
  EXPECT_GT(compared, 1000);
}

/// Any problem, any algorithm: it works and is right, or it is refused with a reason.
TEST(Algorithms, WorkOrSayWhyNot) {
  std::mt19937 random(11);
  int planned = 0;
  for (int i = 0; i < 400; ++i) {
    const Problem drawn = testing::random_problem(random, 9);
    const cpu::Tensors dense = testing::dense_tensors(drawn.shape, drawn.mask);
    const auto all = everything(drawn);
    for (int k = 0; k < 4; ++k) {
      const Case& c = all[std::uniform_int_distribution<std::size_t>(0, all.size() - 1)(random)];
      const auto phase = plan_of(drawn, c, Dtype::kFp32, k % 2 == 0);
      if (!phase) continue;
      testing::expect_right(phase->schedule, dense, name_of(c, drawn));
      ++planned;
    }
  }
  EXPECT_GT(planned, 400);
}

}  // namespace
}  // namespace meshattn
