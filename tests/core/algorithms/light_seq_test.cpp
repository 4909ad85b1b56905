#include <algorithm>

#include "core/schedule/passes/prune.h"
#include "tests/support/generators.h"
#include "tests/support/proof.h"

namespace meshattn::testing {
namespace {

Schedule light_seq(const Problem& problem, Dtype wire) {
  return generated("light-seq", problem, {1, problem.ranks}, wire);
}

Problem light_seq_problem(const AttentionShape& shape, Pass pass, int ranks) {
  return {shape, Mask::kCausal, Partition::kContiguous, pass, ranks};
}

TEST(LightSeq, IsProvedForEveryNumberOfRanks) {
  for (int n = 1; n <= 13; ++n)
    for (AttentionShape shape : shapes_for(n)) {
      shape.seq_kv = shape.seq_q;
      const cpu::Tensors dense = dense_tensors(shape, Mask::kCausal);
      for (Pass pass : kPasses)
        for (Dtype wire : kWires)
          expect_proved(light_seq(light_seq_problem(shape, pass, n), wire), dense,
                        fmt::format("{} {} {}", n, name_of(pass), name_of(wire)));
    }
}

/// In step t, 1 … ⌊n/2⌋, n − t ranks receive KV (2/g), backward its owners receive dKV (2w/g); and t ranks help while
/// 2t < n: Q (1) comes, O (w) returns; backward Q and dO (2), and dQ (w).
///   n even: Σ (n − t)/n = (3n − 2)/8,            Σ t/n = (n/2 − 1)(n/2)/2n = (n − 2)/8
///   n odd:  Σ (n − t)/n = (n − 1)(3n − 1)/8n,    Σ t/n = (n² − 1)/8n
/// So forward (3n − 2)/4g + (1 + w)(n − 2)/8 for n even. The published backward form,
/// ≈ 1.5n/g + 0.5n, counts O among what travels; with delta in its place the second term is (2 + w)(n − 2)/8: ≈ 0.375n.
TEST(LightSeq, ReceivesWhatTheClosedFormSays) {
  for (int n = 1; n <= 13; ++n)
    for (int kv_heads : {8, 2, 1})
      for (Dtype wire : kWires) {
        const double w = weight_of(wire), g = 8.0 / kv_heads;
        const double keys = n % 2 == 0 ? (3 * n - 2) / 8.0 : (n - 1) * (3 * n - 1) / (8.0 * n);
        const double helped = n % 2 == 0 ? (n - 2) / 8.0 : (n * n - 1) / (8.0 * n);
        const auto chunks = [&](Pass pass) {
          return chunks_of(prune(light_seq(even_problem(n, kv_heads, pass, Mask::kCausal), wire)));
        };
        EXPECT_NEAR(chunks(Pass::kForward), 2 / g * keys + (1 + w) * helped, 1e-9) << n;
        EXPECT_NEAR(chunks(Pass::kBackward), 2 / g * (1 + w) * keys + (2 + w) * helped, 1e-9) << n;
      }
  // MHA on 8 ranks, bf16: half of ring's 14.
  EXPECT_DOUBLE_EQ(chunks_of(light_seq(even_problem(8, 8, Pass::kForward, Mask::kCausal), Dtype::kBf16)), 7);
}

/// n(n + 1)/2 blocks on n ranks. n odd: one a rank in each of (n + 1)/2 steps, nobody rests. n even: n/2 + 1 steps, in
/// the last of which half of the ranks rest: busiest over average is (n/2 + 1)/((n + 1)/2) = (n + 2)/(n + 1).
TEST(LightSeq, GivesRanksAsManyBlocks) {
  for (Pass pass : kPasses)
    for (int n = 1; n <= 13; ++n) {
      const Schedule s = light_seq(even_problem(n, 8, pass, Mask::kCausal), Dtype::kFp32);
      std::vector<int> blocks(static_cast<std::size_t>(n));
      for (Rank r = 0; r < n; ++r)
        for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op)
          blocks[static_cast<std::size_t>(r)] +=
              std::holds_alternative<Attend>(s.ops[op]) || std::holds_alternative<AttendBackward>(s.ops[op]);
      EXPECT_EQ(*std::ranges::max_element(blocks), n / 2 + 1) << n;
      EXPECT_EQ(*std::ranges::min_element(blocks), (n + 1) / 2) << n;
    }
}

std::string kinds_of(const Schedule& s, Rank r) {
  std::string kinds;
  for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op)
    kinds += std::holds_alternative<Exchange>(s.ops[op]) ? 'X' : std::holds_alternative<Attend>(s.ops[op]) ? 'A' : 'C';
  return kinds;
}

/// Six ranks. X is listed before the A during which it moves: what the next A needs, and the partial of the A before.
/// Rank 5 attends its own rows in 4 steps; with the exchanges of steps 2 and 3 come partials from ranks 0 and 1, merged
/// after step 3. Rank 0 attends its own block and helps twice; each partial is cast to bf16 before it leaves, and its
/// own sum at the end.
TEST(LightSeq, ListsAnExchangeBeforeTheBlockThatHidesIt) {
  const Schedule s = light_seq(even_problem(6, 8, Pass::kForward, Mask::kCausal), Dtype::kBf16);
  EXPECT_EQ(kinds_of(s, 5), "XAXAXAXACC");
  EXPECT_EQ(kinds_of(s, 0), "XAXACXACXC");
}

TEST(LightSeq, RefusesWhatItDoesNotBalance) {
  Problem p = even_problem(4, 8, Pass::kForward, Mask::kCausal);
  const auto make = [&p] { return light_seq(p, Dtype::kFp32); };
  p.mask = Mask::kFull;
  expect_refused(make, "use mask causal");
  p.mask = Mask::kCausal;
  for (Partition partition : {Partition::kZigzag, Partition::kStriped}) {
    p.partition = partition;
    expect_refused(make, fmt::format("takes none that are {}: use partition contiguous", name_of(partition)));
  }
  p.partition = Partition::kContiguous;
  p.shape.seq_kv = 40;
  expect_refused(make, "as many keys as queries, not 40 keys for 32 queries");
}

TEST(LightSeq, RefusesNoRanks) {
  Problem p = even_problem(1, 8, Pass::kForward, Mask::kCausal);
  p.ranks = 0;
  expect_refused([&p] { return light_seq(p, Dtype::kFp32); }, "ranks must be from 1");
}

}  // namespace
}  // namespace meshattn::testing
