#include "tests/support/generators.h"
#include "tests/support/proof.h"

namespace meshattn::testing {
namespace {

Schedule star_trail(const Problem& problem, int team, Dtype wire) {
  return generated("star-trail", problem, {team, 1}, wire);
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
        const cpu::Tensors dense = dense_tensors(shape, mask);
        for (Partition partition : kPartitions)
          for (Pass pass : kPasses)
            for (Dtype wire : kWires)
              for (int team : teams_of(n))
                expect_proved(star_trail({shape, mask, partition, pass, n}, team, wire), dense,
                              fmt::format("{}/{} {} {} {}", n, team, name_of(partition), name_of(pass), name_of(wire)));
      }
}

/// Forward: C − 1 Q come from the team and C − 1 partial O (w). Of keys (2/g), C chunks come before the first lap but
/// for the one in C² ranks' squares that is the rank's own: C − 1/C on average (every rank of the team that is its own
/// square's team c, 1 in C, has one of them); then C chunks in each of n/C² − 1 hops. C − 1/C + n/C − C = (n − 1)/C.
/// MHA, w = 1: 2(C − 1) + 2(n − 1)/C = 4(C − 1) + 2(n − C²)/C + 2(1 − 1/C), the sum of both collectives and the hops.
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

TEST(StarTrail, RefusesNoRanks) {
  Problem p = even_problem(1, 8, Pass::kForward, Mask::kCausal);
  p.ranks = 0;
  expect_refused([&p] { return star_trail(p, 1, Dtype::kFp32); }, "ranks must be from 1");
}

}  // namespace
}  // namespace meshattn::testing
