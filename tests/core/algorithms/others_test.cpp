#include "core/algorithms/others.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <set>

#include "core/base/error.h"
#include "core/cluster/network.h"
#include "core/report/volume.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/text.h"
#include "tests/support/proof.h"

namespace meshattn {
namespace {

constexpr Partition kPartitions[] = {Partition::kContiguous, Partition::kStriped, Partition::kZigzag};
constexpr Mask kMasks[] = {Mask::kFull, Mask::kCausal};
constexpr Pass kPasses[] = {Pass::kForward, Pass::kBackward};
constexpr Dtype kWires[] = {Dtype::kBf16, Dtype::kFp32};

/// Chunks of equal length; of lengths that differ, with shared key/value heads; short queries behind a cached prefix,
/// two of them in a batch. At least 2·cuts tokens a chunk, so that zigzag can be cut.
std::vector<AttentionShape> shapes_for(int n, int cuts = 1) {
  const int least = 2 * n * cuts;
  return {{least, least, 1, 4, 4, 4, Dtype::kBf16},
          {least + n + 1, least + n + 1, 1, 4, 2, 4, Dtype::kFp32},
          {least + 1, 2 * least + 3, 2, 4, 1, 4, Dtype::kBf16}};
}

void expect_refused(const std::function<Schedule()>& make, const std::string& why) {
  try {
    (void)make();
    FAIL() << "is not refused: " << why;
  } catch (const InvalidInput& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(why));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("\n")));
  }
}

/// 8 query heads, 8 tokens for each cut of a chunk: all chunks and all their parts have the same bytes.
Problem even_problem(int ranks, int kv_heads, Pass pass, Mask mask, int cuts = 1) {
  const std::int64_t seq = 8L * ranks * cuts;
  return {{seq, seq, 1, 8, kv_heads, 4, Dtype::kBf16}, mask, Partition::kContiguous, pass, ranks};
}

/// A partial of bf16 tensors counts once as bf16 and twice as fp32.
double weight_of(Dtype wire) { return wire == Dtype::kFp32 ? 2 : 1; }

/// A network that only has to exist: volumes are asked of it, no times.
Network all_alone(int ranks) {
  Cluster cluster;
  cluster.node = {.gpus = ranks, .link_bytes_per_s = 1};
  return {cluster, ranks};
}

double chunks_of(const Schedule& s) { return volume_of(s, all_alone(s.problem.ranks)).chunks_received_avg; }

Problem light_seq_problem(const AttentionShape& shape, Pass pass, int ranks) {
  return {shape, Mask::kCausal, Partition::kContiguous, pass, ranks};
}

TEST(LightSeq, IsProvedForEveryNumberOfRanks) {
  for (int n = 1; n <= 13; ++n)
    for (AttentionShape shape : shapes_for(n)) {
      shape.seq_kv = shape.seq_q;
      const cpu::Tensors dense = testing::dense_tensors(shape, Mask::kCausal);
      for (Pass pass : kPasses)
        for (Dtype wire : kWires)
          testing::expect_proved(light_seq(light_seq_problem(shape, pass, n), wire), dense,
                                 fmt::format("{} {} {}", n, name_of(pass), name_of(wire)));
    }
}

/// In step t, 1 … ⌊n/2⌋, n − t ranks receive KV (2/g), backward its owners receive dKV (2w/g); and t ranks help while
/// 2t < n: Q (1) comes, O (w) returns; backward Q and dO (2), and dQ (w).
///   n even: Σ (n − t)/n = (3n − 2)/8,            Σ t/n = (n/2 − 1)(n/2)/2n = (n − 2)/8
///   n odd:  Σ (n − t)/n = (n − 1)(3n − 1)/8n,    Σ t/n = (n² − 1)/8n
/// So forward (3n − 2)/4g + (1 + w)(n − 2)/8 for n even, which is algorithms.md 1.4 with w = 1. Its backward form,
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
  expect_refused(make, "use --mask causal");
  p.mask = Mask::kCausal;
  for (Partition partition : {Partition::kZigzag, Partition::kStriped}) {
    p.partition = partition;
    expect_refused(make, fmt::format("takes none that are {}: use --partition contiguous", name_of(partition)));
  }
  p.partition = Partition::kContiguous;
  p.shape.seq_kv = 40;
  expect_refused(make, "as many keys as queries, not 40 keys for 32 queries");
}

std::vector<int> teams_of(int ranks) {
  std::vector<int> teams;
  for (int c = 1; c * c <= ranks; ++c)
    if (ranks % (c * c) == 0) teams.push_back(c);
  return teams;
}

TEST(StarTrail, IsProvedForEveryTeam) {
  for (int n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 18})
    for (const AttentionShape& shape : shapes_for(n))
      for (Mask mask : kMasks) {
        const cpu::Tensors dense = testing::dense_tensors(shape, mask);
        for (Partition partition : kPartitions)
          for (Pass pass : kPasses)
            for (Dtype wire : kWires)
              for (int team : teams_of(n))
                testing::expect_proved(
                    star_trail({shape, mask, partition, pass, n}, team, wire), dense,
                    fmt::format("{}/{} {} {} {}", n, team, name_of(partition), name_of(pass), name_of(wire)));
      }
}

/// Forward: C − 1 Q come from the team and C − 1 partial O (w). Of keys (2/g), C chunks come before the first lap but
/// for the one in C² ranks' squares that is the rank's own: C − 1/C on average (every rank of the team that is its own
/// square's team c, 1 in C, has one of them); then C chunks in each of n/C² − 1 hops. C − 1/C + n/C − C = (n − 1)/C.
/// MHA, w = 1: 2(C − 1) + 2(n − 1)/C = 4(C − 1) + 2(n − C²)/C + 2(1 − 1/C), as algorithms.md 1.8 has it.
/// Backward: C − 1 KV come and C − 1 partial dKV (w); Q and dO (2) go round as keys did forward, dQ (w) one hop behind,
/// and from where it ends C − 1/C chunks come home.
TEST(StarTrail, ReceivesWhatTheClosedFormSays) {
  for (int n : {1, 4, 8, 9, 12, 16, 18, 36})
    for (int team : teams_of(n))
      for (int kv_heads : {8, 2, 1})
        for (Dtype wire : kWires) {
          const double w = weight_of(wire), g = 8.0 / kv_heads, round = (n - 1.0) / team;
          const auto chunks = [&](Pass pass) {
            return chunks_of(star_trail(even_problem(n, kv_heads, pass, Mask::kFull), team, wire));
          };
          EXPECT_NEAR(chunks(Pass::kForward), (1 + w) * (team - 1) + 2 / g * round, 1e-9) << n << '/' << team;
          EXPECT_NEAR(chunks(Pass::kBackward), 2 / g * (1 + w) * (team - 1) + (2 + w) * round, 1e-9) << n;
        }
  const Problem sixteen = even_problem(16, 8, Pass::kForward, Mask::kFull);
  EXPECT_DOUBLE_EQ(chunks_of(star_trail(sixteen, 2, Dtype::kBf16)), 17);
  EXPECT_DOUBLE_EQ(chunks_of(star_trail(sixteen, 1, Dtype::kBf16)), 30);  // ring
}

/// Teams of one: n − 1 hops of single chunks, each to the rank below.
TEST(StarTrail, WithTeamsOfOneIsRing) {
  const Schedule s = star_trail(even_problem(6, 2, Pass::kForward, Mask::kFull), 1, Dtype::kFp32);
  EXPECT_EQ(s.transfers.size(), 6u * 5u);
  for (const Transfer& t : s.transfers) EXPECT_EQ(s.values[t.made].rank, (s.values[t.source].rank + 5) % 6);
}

TEST(StarTrail, RefusesTeamsWhoseSquareDoesNotDivideTheRanks) {
  const Problem p = even_problem(36, 8, Pass::kForward, Mask::kFull);
  for (int team : {-1, 0, 4, 5, 9, 36, 50'000, 65'536})
    expect_refused([&] { return star_trail(p, team, Dtype::kFp32); },
                   fmt::format("teams of {} do not fit 36 ranks: the square of a team must divide the ranks", team));
}

TEST(Tasp, IsProvedWhereThereAreCycles) {
  for (int n : {1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 16})
    for (const AttentionShape& shape : shapes_for(n, std::max(1, n - 1)))
      for (Mask mask : kMasks) {
        if (n > 10 && shape.batch > 1) continue;  // long enough without
        const cpu::Tensors dense = testing::dense_tensors(shape, mask);
        for (Partition partition : kPartitions)
          testing::expect_proved(tasp({shape, mask, partition, Pass::kForward, n}), dense,
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

TEST(EveryOther, RefusesNoRanks) {
  Problem p = even_problem(1, 8, Pass::kForward, Mask::kCausal);
  p.ranks = 0;
  expect_refused([&p] { return light_seq(p, Dtype::kFp32); }, "ranks must be from 1");
  expect_refused([&p] { return star_trail(p, 1, Dtype::kFp32); }, "ranks must be from 1");
  expect_refused([&p] { return tasp(p); }, "1 to 128 ranks, not 0");
}

}  // namespace
}  // namespace meshattn
