#include "core/report/volume.h"

#include <gtest/gtest.h>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"
#include "core/planner/grid_placement.h"
#include "core/schedule/passes/prune.h"

namespace meshattn {
namespace {

struct Case {
  Pass pass;
  Dtype wire;
  int ranks;
  int kv_heads;
};

Problem problem_of(const Case& c, const Mask& mask, Partition partition) {
  return {{c.ranks * 8L, c.ranks * 8L, 1, 8, c.kv_heads, 4, Dtype::kBf16}, mask, partition, c.pass, c.ranks};
}

Schedule schedule_of(const Problem& problem, Tile tile, Dtype wire) {
  return mesh(problem, order_tile(tile, problem.pass, Order::kNaive, {1, 1, 1, 1, 1}, {}), wire);
}

/// A cluster with this many GPUs per node.
Network network_of(int ranks, int gpus_per_node) {
  Cluster c;
  c.node = {.gpus = gpus_per_node, .link_bytes_per_s = 1, .nic_bytes_per_s = 1};
  return Network(c, ranks);
}

/// Chunks that a rank receives under the full mask, with g query heads per KV head. A partial counts twice if it is
/// sent in fp32, once in bf16 (w).
///   forward   a−1 hops of Q (1) and O (w), b−1 hops of KV (2/g)
///   backward  a−1 hops of Q, dO (2) and dQ (w), b−1 hops of KV (2/g) and dKV (2w/g)
double closed_form(const Case& c, Tile tile) {
  const double w = c.wire == Dtype::kFp32 ? 2 : 1, g = 8.0 / c.kv_heads;
  if (c.pass == Pass::kForward) return (1 + w) * (tile.rows - 1) + 2 / g * (tile.columns - 1);
  return (2 + w) * (tile.rows - 1) + (2 + 2 * w) / g * (tile.columns - 1);
}

TEST(Volume, EqualsTheClosedFormForEveryTile) {
  for (Pass pass : {Pass::kForward, Pass::kBackward})
    for (Dtype wire : {Dtype::kBf16, Dtype::kFp32})
      for (int ranks : {1, 2, 3, 4, 6, 12, 16})
        for (int kv_heads : {8, 2, 1})
          for (Tile tile : tiles_of(ranks)) {
            const Case c{pass, wire, ranks, kv_heads};
            const Volume v = volume_of(schedule_of(problem_of(c, Mask::kFull, Partition::kZigzag), tile, wire),
                                       network_of(ranks, ranks));
            EXPECT_NEAR(v.chunks_received_avg, closed_form(c, tile), 1e-9) << tile.rows << 'x' << tile.columns;
            EXPECT_EQ(v.inter_node_bytes_avg, 0);
            EXPECT_EQ(v.bytes_received_avg, static_cast<double>(v.bytes_received_max));
          }
}

/// The setting of the Mesh-Attention paper: 256 ranks, MHA.
TEST(Volume, OfTheSquareTileOn256Ranks) {
  const auto chunks = [](Tile tile, Pass pass, Dtype wire) {
    const Case c{pass, wire, 256, 8};
    return volume_of(schedule_of(problem_of(c, Mask::kFull, Partition::kContiguous), tile, wire), network_of(256, 8))
        .chunks_received_avg;
  };
  EXPECT_DOUBLE_EQ(chunks({16, 16}, Pass::kForward, Dtype::kBf16), 60);    // 2·15 + 2·15
  EXPECT_DOUBLE_EQ(chunks({16, 16}, Pass::kForward, Dtype::kFp32), 75);    // 3·15 + 2·15
  EXPECT_DOUBLE_EQ(chunks({1, 256}, Pass::kForward, Dtype::kBf16), 510);   // 2·255
  EXPECT_DOUBLE_EQ(chunks({16, 16}, Pass::kBackward, Dtype::kBf16), 105);  // 3·15 + 4·15
  EXPECT_DOUBLE_EQ(chunks({1, 256}, Pass::kBackward, Dtype::kBf16), 1020);
}

/// Log-sum-exp and delta count as bytes, not in chunks: per row and head 4 B with each O, 8 B with each delta.
TEST(Volume, CountsRowStatisticsAsBytes) {
  const Case forward{Pass::kForward, Dtype::kBf16, 4, 8}, backward{Pass::kBackward, Dtype::kBf16, 4, 8};
  const double rows = 8 * 8, chunk = rows * 4 * 2;  // tokens × heads; × head_dim × 2 B
  for (const Case& c : {forward, backward}) {
    const Volume v =
        volume_of(schedule_of(problem_of(c, Mask::kFull, Partition::kContiguous), {4, 1}, c.wire), network_of(4, 4));
    EXPECT_DOUBLE_EQ(v.bytes_received_avg,
                     v.chunks_received_avg * chunk + 3 * rows * (c.pass == Pass::kForward ? 4 : 8));
  }
}

/// A ring of ranks 0 … 3 in two nodes of two. KV moves down, so the last rank of each node receives all its 3 KV chunks
/// (2 Q chunks each) from the other node, and the other ranks none.
TEST(Volume, BetweenNodesCountsTransfersThatCross) {
  const Case c{Pass::kForward, Dtype::kBf16, 4, 8};
  const Problem p = problem_of(c, Mask::kFull, Partition::kContiguous);
  const Volume v = volume_of(schedule_of(p, {1, 4}, c.wire), network_of(4, 2));
  EXPECT_DOUBLE_EQ(v.inter_node_bytes_avg, v.bytes_received_avg / 2);
  EXPECT_EQ(v.inter_node_bytes_max, v.bytes_received_max);
}

/// 256 ranks, MHA, tile 16x16, partials in bf16, nodes of 8. If a node holds s slots of a row group (Q and O move 15
/// hops up it) and t of a column group (KV, two chunks, 15 hops down it), one rank in s receives Q and O from another
/// node and one in t KV: 15·2/s + 15·2/t chunks on average. Linear is 8x1: 3.75 + 30 = 33.75; 2x4: 15 + 7.5 = 22.5. A
/// rank at which both rings enter the node receives all its 60 chunks from other nodes, in either grid.
TEST(Volume, BetweenNodesFallsWithAGridOfSlots) {
  const Case c{Pass::kForward, Dtype::kBf16, 256, 8};
  const Schedule s = schedule_of(problem_of(c, Mask::kFull, Partition::kContiguous), {16, 16}, c.wire);
  Cluster nodes_of_8;
  nodes_of_8.node = {.gpus = 8, .link_bytes_per_s = 1, .nic_bytes_per_s = 1};
  for (const auto& [placement, average] :
       {std::pair{linear_placement(256), 33.75}, {grid_placement({2, 4}, {16, 16}, 1, 8), 22.5}}) {
    const Volume v = volume_of(s, Network(nodes_of_8, placement));
    EXPECT_DOUBLE_EQ(v.inter_node_chunks_avg, average);
    EXPECT_DOUBLE_EQ(v.inter_node_chunks_max, 60);
    EXPECT_EQ(v.inter_node_bytes_max, v.bytes_received_max);
    EXPECT_DOUBLE_EQ(v.chunks_received_avg, 60);
  }
}

std::uint64_t received(const Schedule& s, Tensor tensor) {
  std::uint64_t bytes = 0;
  for (const Transfer& t : s.transfers)
    if (s.values[t.made].tensor == tensor) bytes += s.bytes(t.made);
  return bytes;
}

/// The second half of a zigzag chunk j is needed only by ranks i ≤ j. KV moves down, so the half is dropped after rank
/// 0. Over all chunks every other hop of a second half is dropped: 75 % remains.
TEST(Prune, ZigzagCausalMovesThreeQuartersOfTheKeys) {
  for (int ranks : {2, 3, 4, 6, 8, 12})
    for (Tile tile : tiles_of(ranks)) {
      if (tile.columns == 1) continue;
      const Case c{Pass::kForward, Dtype::kBf16, ranks, 2};
      const auto kv = [&](const Mask& mask) {
        return received(prune(schedule_of(problem_of(c, mask, Partition::kZigzag), tile, c.wire)), Tensor::kKV);
      };
      EXPECT_EQ(4 * kv(Mask::kCausal), 3 * kv(Mask::kFull)) << tile.rows << 'x' << tile.columns;
    }
}

/// Contiguous chunks, causal mask: only ranks i > j need chunk j, which moves up to the last of them in n−1−j hops.
/// That is n(n−1)/2 of n(n−1) hops in all. n(n+1)/2 of n² blocks remain.
TEST(Prune, ContiguousCausalDropsEmptyBlocksAndHopsToThem) {
  const Case c{Pass::kForward, Dtype::kBf16, 6, 8};
  const Schedule s = prune(schedule_of(problem_of(c, Mask::kCausal, Partition::kContiguous), {1, 6}, c.wire));
  std::size_t blocks = 0;
  for (const Op& op : s.ops)
    if (const auto* a = std::get_if<Attend>(&op)) blocks += std::size_t{a->row_count} * a->column_count;
  EXPECT_EQ(blocks, 21u);
  EXPECT_EQ(s.transfers.size(), 15u);
}

/// Backward KV moves down: chunk j passes ranks j − 1 … 0 and then n − 1 … j + 1, which see it, in n − 1 hops; only its
/// owner sees the last chunk, which does not move. dKV begins at rank n − 1 and moves down the ranks that see the chunk
/// to its owner, in n − 1 − j hops. n = 6: 5 · 5 and 15.
TEST(Prune, ContiguousCausalBackwardSendsGradientsOnlyToTheirOwner) {
  const Case c{Pass::kBackward, Dtype::kBf16, 6, 8};
  const Schedule s = prune(schedule_of(problem_of(c, Mask::kCausal, Partition::kContiguous), {1, 6}, c.wire));
  std::size_t kv = 0, dkv = 0;
  for (const Transfer& t : s.transfers) (s.values[t.made].tensor == Tensor::kKV ? kv : dkv)++;
  EXPECT_EQ(kv, 25u);
  EXPECT_EQ(dkv, 15u);
}

/// Under a window of at most a chunk, only ranks j and j + 1 see contiguous chunk j (rank j + 1 if the window is at
/// least 2): one hop per chunk, none into rank 0. Queries and outputs do not move: a ring.
TEST(Prune, WindowMovesOnlyTheHalo) {
  for (std::int64_t window : {2, 5, 8})  // a chunk has 8 tokens
    for (int ranks : {2, 5, 16}) {
      const Case c{Pass::kForward, Dtype::kBf16, ranks, 2};
      const Schedule s =
          prune(schedule_of(problem_of(c, {true, window, {}}, Partition::kContiguous), {1, ranks}, c.wire));
      EXPECT_EQ(s.transfers.size(), static_cast<std::size_t>(ranks - 1));
      for (const Transfer& t : s.transfers) EXPECT_EQ(s.values[t.made].rank, s.values[t.source].rank + 1);
    }
}

/// Chunks of 64 tokens, cut into cells so that at most an eighth more keys move than the W − 1 that the window shows.
/// 16 keys are one cell of 16. 13 keys are seven cells of 2; cells of 4 would be 16 keys. 65 keys are a chunk and a
/// cell of 8, which rank 1 does not receive. 200 keys are three chunks and half a fourth, 224, less than an eighth
/// more.
TEST(Prune, ChunksAreCutToTheWindow) {
  constexpr int kRanks = 8;
  struct Cut {
    std::int64_t window;
    int cuts;
    std::int64_t keys;  ///< received by all ranks together
  };
  for (const Cut& cut : {Cut{17, 4, 7 * 16},
                         {14, 32, 7 * 14},
                         {66, 8, 7 * 64 + 6 * 8},
                         {65, 1, 7 * 64},
                         {201, 2, 7 * 64 + 6 * 64 + 5 * 64 + 4 * 32},
                         {1, 1, 0},
                         {512, 1, 28 * 64}}) {
    Problem p{{64 * kRanks, 64 * kRanks, 1, 8, 2, 4, Dtype::kBf16},
              {true, cut.window, {}},
              Partition::kContiguous,
              Pass::kForward,
              kRanks};
    p = configure("ring", p, {}, kRanks).problem;
    EXPECT_EQ(p.cuts, cut.cuts) << cut.window;
    const Volume v = volume_of(prune(schedule_of(p, {1, kRanks}, Dtype::kBf16)), network_of(kRanks, kRanks));
    EXPECT_EQ(v.bytes_received_avg * kRanks, static_cast<double>(cut.keys * 2 * 4 * 2 * 2)) << cut.window;
  }
}

/// Behind a cached prefix, chunks of keys are longer than chunks of queries: 96 tokens, of which the window shows 16,
/// and
/// 64. Partitions by document have pieces of any length and are not cut; a single slot moves nothing.
TEST(Cuts, AreOfKeysAndWhereTheyServe) {
  Problem p{{64 * 8, 96 * 8, 1, 8, 2, 4, Dtype::kBf16}, {true, 17, {}}, Partition::kContiguous, Pass::kForward, 8};
  const auto cuts = [&](std::string_view algorithm) { return configure(algorithm, p, {}, 8).problem.cuts; };
  EXPECT_EQ(cuts("ring"), 16);  // cells of 6: 18 keys are an eighth more; cells of 12 would be 24
  EXPECT_EQ(cuts("ulysses"), 1);
  p.shape.seq_kv = p.shape.seq_q;
  EXPECT_EQ(cuts("ring"), 4);
  p.mask.documents = Documents(std::vector<std::int64_t>(2, 32 * 8));
  p.partition = Partition::kDocumentContiguous;
  EXPECT_EQ(cuts("ring"), 1);
}

/// For any shape, cells have tokens, and there are few enough to check all pairs.
TEST(Cuts, AreOfShapesThatCanBeCut) {
  for (int ranks : {1, 3, 8, 100, 4096, 65536})
    for (std::int64_t seq : {1L << 17, 1L << 20, 1L << 24})
      for (std::int64_t prefix : {0L, 999L})
        for (std::int64_t window : {1000L, 1001L, 4096L, 100'000L})
          for (Partition partition : {Partition::kContiguous, Partition::kZigzag, Partition::kStriped}) {
            if (seq < 2L * ranks) continue;
            Problem p{
                {seq, seq + prefix, 1, 8, 2, 4, Dtype::kBf16}, {true, window, {}}, partition, Pass::kForward, ranks};
            p = configure("ring", p, {}, 1).problem;
            EXPECT_NO_THROW(check(p)) << ranks << ' ' << seq << ' ' << window;
            EXPECT_TRUE(p.cuts == 1 || (p.cells() <= 1 << 14 && partition != Partition::kStriped));
          }
}

/// 16 documents on n = 16·m ranks, each m chunks long. Contiguous: the i-th chunk of a document is seen by the m − 1 −
/// i chunks after it, m(m−1)/2 hops per document, of n(n−1) in all under the full mask. Zigzag by document: each rank
/// has a part of every document, and each document is a causal zigzag: 75 % of K and V move, as without documents.
TEST(Prune, DocumentsOfASixteenthMoveWithinThemselvesOnly) {
  for (int m : {1, 2, 3}) {
    const int n = 16 * m;
    Case c{Pass::kForward, Dtype::kBf16, n, 2};
    const auto kv = [&](const Mask& mask, Partition partition) {
      Problem p = problem_of(c, mask, partition);
      p.shape.seq_q = p.shape.seq_kv = 32L * n;
      return received(prune(schedule_of(p, {1, n}, c.wire)), Tensor::kKV);
    };
    const Mask documents{true, 0, Documents(std::vector<std::int64_t>(16, 32 * m))};
    const std::uint64_t hop = kv(Mask::kFull, Partition::kContiguous) / static_cast<std::uint64_t>(n * (n - 1));
    EXPECT_EQ(kv(documents, Partition::kContiguous), hop * static_cast<std::uint64_t>(16 * m * (m - 1) / 2));
    EXPECT_EQ(4 * kv(documents, Partition::kDocumentZigzag), 3 * hop * static_cast<std::uint64_t>(n * (n - 1)));
  }
}

TEST(Prune, LeavesTheFullMaskAlone) {
  const Case c{Pass::kBackward, Dtype::kFp32, 6, 8};
  const Schedule before = schedule_of(problem_of(c, Mask::kFull, Partition::kZigzag), {2, 3}, c.wire);
  const Schedule after = prune(before);
  EXPECT_EQ(after.ops.size(), before.ops.size());
  EXPECT_EQ(after.transfers.size(), before.transfers.size());
  EXPECT_EQ(after.values.size(), before.values.size());
}

/// A Combine of one partial of the same type is dropped.
TEST(Prune, LeavesNoCopies) {
  const Case c{Pass::kForward, Dtype::kFp32, 8, 8};
  const Problem p = problem_of(c, Mask::kCausal, Partition::kContiguous);
  const auto copies = [](const Schedule& s) {
    int found = 0;
    for (const Op& op : s.ops)
      if (const auto* combine = std::get_if<Combine>(&op))
        found += combine->source_count == 1 &&
                 s.values[s.sources_of(*combine).front()].dtype == s.values[combine->made].dtype;
    return found;
  };
  const Schedule s = prune(schedule_of(p, {4, 2}, c.wire));
  EXPECT_EQ(copies(s), 0);
}

}  // namespace
}  // namespace meshattn
