#include "core/algorithms/hamiltonian.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/base/error.h"

namespace meshattn {
namespace {

/// n − 1 permutations, each one loop through all n ranks; all steps together are the n(n − 1) ordered pairs.
void expect_decomposition(int n) {
  const std::vector<Cycle> cycles = hamiltonian_cycles(n);
  ASSERT_EQ(cycles.size(), static_cast<std::size_t>(n - 1));
  std::set<std::pair<Rank, Rank>> steps;
  for (const Cycle& next : cycles) {
    Rank r = 0;
    std::set<Rank> met;
    for (int step = 0; step < n; ++step) {
      const Rank to = next.at(static_cast<std::size_t>(r));
      EXPECT_NE(to, r);
      EXPECT_TRUE(steps.emplace(r, to).second) << r << " to " << to << " of " << n << " twice";
      met.insert(r = to);
    }
    EXPECT_EQ(r, 0);
    EXPECT_EQ(met.size(), static_cast<std::size_t>(n));
  }
  EXPECT_EQ(steps.size(), static_cast<std::size_t>(n) * static_cast<std::size_t>(n - 1));
}

TEST(HamiltonianCycles, ShareNoStepAndTakeThemAll) {
  for (int n = 1; n <= kMostHamiltonianRanks; ++n)
    if (n != 4 && n != 6) expect_decomposition(n);
}

TEST(HamiltonianCycles, AreTheSameEveryTime) { EXPECT_EQ(hamiltonian_cycles(12), hamiltonian_cycles(12)); }

TEST(HamiltonianCycles, AreRefusedWhereThereAreNone) {
  const auto refuses = [](int n, const char* why) {
    EXPECT_THAT([n] { (void)hamiltonian_cycles(n); }, testing::ThrowsMessage<InvalidInput>(testing::HasSubstr(why)));
  };
  refuses(4, "4 ranks have no 3 Hamiltonian cycles without a common step: there are for any other number but 6");
  refuses(6, "6 ranks have no 5 Hamiltonian cycles without a common step: there are for any other number but 4");
  refuses(0, "1 to 128 ranks, not 0");
  refuses(129, "1 to 128 ranks, not 129");
}

}  // namespace
}  // namespace meshattn
