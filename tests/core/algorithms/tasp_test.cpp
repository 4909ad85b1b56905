#include <set>

#include "core/schedule/text.h"
#include "tests/support/generators.h"
#include "tests/support/proof.h"

namespace meshattn::testing {
namespace {

Schedule tasp(const Problem& problem) { return generated("tasp", problem, {1, problem.ranks}, Dtype::kFp32); }

TEST(Tasp, IsProvedWhereThereAreCycles) {
  for (int n : {1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 16})
    for (const AttentionShape& shape : shapes_for(n, std::max(1, n - 1)))
      for (Mask mask : kMasks) {
        if (n > 10 && shape.batch > 1) continue;  // long enough without
        const cpu::Tensors dense = dense_tensors(shape, mask);
        for (Partition partition : kPartitions)
          expect_proved(tasp({shape, mask, partition, Pass::kForward, n}), dense,
                        fmt::format("{} {} {}", n, name_of(partition), name_of(mask)));
      }
}

/// Each of n − 1 parts of each chunk's KV reaches n − 1 ranks: n − 1 chunks of KV a rank.
TEST(Tasp, ReceivesAsMuchAsRing) {
  for (int n : {1, 2, 3, 5, 7, 8, 9, 10, 12, 16})
    for (int kv_heads : {8, 2, 1}) {
      const Problem p = even_problem(n, kv_heads, Pass::kForward, Mask::kFull, std::max(1, n - 1));
      const Volume v = volume_of(tasp(p), all_alone(n));
      EXPECT_NEAR(v.chunks_received_avg, 2.0 * (n - 1) * kv_heads / 8, 1e-9) << n;
      EXPECT_EQ(v.bytes_received_avg, static_cast<double>(v.bytes_received_max)) << n;
    }
}

TEST(Tasp, SendsAPartToEveryPeerInEveryHop) {
  for (int n : {3, 8, 9}) {
    const Schedule s = tasp(even_problem(n, 8, Pass::kForward, Mask::kFull, n - 1));
    for (Rank r = 0; r < n; ++r) {
      int hops = 0;
      for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) {
        const auto* x = std::get_if<Exchange>(&s.ops[op]);
        if (x == nullptr) continue;
        ++hops;
        std::multiset<Rank> to, from;
        for (TransferId t : s.transfers_of(*x)) {
          const Rank source = s.values[s.transfers[t].source].rank, made = s.values[s.transfers[t].made].rank;
          (source == r ? to : from).insert(source == r ? made : source);
          EXPECT_EQ(s.region(s.transfers[t].made).cells.size(), 1u);
        }
        EXPECT_EQ(to.size(), static_cast<std::size_t>(n - 1));
        EXPECT_EQ(to, from);
        EXPECT_EQ(std::set<Rank>(to.begin(), to.end()).size(), to.size());
      }
      EXPECT_EQ(hops, n - 1);
    }
  }
}

/// Zigzag on 3 ranks, two parts: 24 tokens are 6 runs of 4; chunk 1 is runs 1 and 4, and its part 0 is their first
/// halves.
TEST(Tasp, CutsEveryPieceOfAChunk) {
  Problem p = even_problem(3, 8, Pass::kForward, Mask::kFull);
  p.partition = Partition::kZigzag;
  const Schedule s = tasp(p);
  EXPECT_EQ(s.problem.cuts, 2);
  std::vector<std::vector<TokenRun>> parts;
  for (ValueId v : s.inputs) {
    if (s.values[v].tensor != Tensor::kKV || s.values[v].rank != 1) continue;
    std::vector<TokenRun>& runs = parts.emplace_back();
    for (Cell cell : s.region(v).cells) runs.push_back(s.problem.kv_run(cell));
  }
  EXPECT_EQ(parts, (std::vector<std::vector<TokenRun>>{{{4, 1, 2}, {16, 1, 2}}, {{6, 1, 2}, {18, 1, 2}}}));
  const std::string text = write_text(s);
  EXPECT_THAT(text, ::testing::HasSubstr("\npartition zigzag cuts 2\n"));
}

TEST(Tasp, RefusesWhatHasNoCycles) {
  for (int n : {4, 6})
    expect_refused([n] { return tasp(even_problem(n, 8, Pass::kForward, Mask::kFull, n - 1)); },
                   fmt::format("{} ranks have no {} Hamiltonian cycles", n, n - 1));
  expect_refused([] { return tasp(even_problem(5, 8, Pass::kBackward, Mask::kFull, 4)); },
                 "tasp has a forward pass only");
  expect_refused([] { return tasp(even_problem(200, 8, Pass::kForward, Mask::kFull)); }, "1 to 128 ranks, not 200");
  // 8 tokens a chunk are enough for four parts, not for 10 of two zigzag pieces each.
  Problem p = even_problem(11, 8, Pass::kForward, Mask::kCausal);
  p.partition = Partition::kZigzag;
  expect_refused([&p] { return tasp(p); }, "a sequence of 88 is too short for 11 ranks");
}

TEST(Tasp, RefusesNoRanks) {
  Problem p = even_problem(1, 8, Pass::kForward, Mask::kCausal);
  p.ranks = 0;
  expect_refused([&p] { return tasp(p); }, "1 to 128 ranks, not 0");
}

}  // namespace
}  // namespace meshattn::testing
