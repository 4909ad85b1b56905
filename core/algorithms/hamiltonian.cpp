#include "core/algorithms/hamiltonian.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <random>
#include <utility>

#include "core/base/error.h"

namespace meshattn {

namespace {

/// Loops that a permutation consists of.
int loops_of(const Cycle& next) {
  std::vector<bool> seen(next.size());
  int loops = 0;
  for (std::size_t first = 0; first < next.size(); ++first) {
    if (seen[first]) continue;
    ++loops;
    for (std::size_t r = first; !seen[r]; r = static_cast<std::size_t>(next[r])) seen[r] = true;
  }
  return loops;
}

/// Moves through sets of n − 1 permutations of which no two send a rank to the same rank, and none to itself (Latin
/// squares, but for the row of the identity), towards permutations that are one loop each.
class CycleSearch {
 public:
  explicit CycleSearch(int ranks) : size_(static_cast<std::size_t>(ranks)), cycles_(size_ - 1, Cycle(size_)) {
    for (std::size_t d = 1; d < size_; ++d)
      for (std::size_t r = 0; r < size_; ++r) cycles_[d - 1][r] = static_cast<Rank>((r + d) % size_);
  }

  std::vector<Cycle> run();

 private:
  std::size_t any(std::size_t below) { return random_() % below; }
  [[nodiscard]] bool sign_is_wrong() const;
  static void trade(Cycle& a, Cycle& b, std::size_t first);
  void swap_where_odd(std::size_t first, std::size_t x, std::size_t y);

  std::size_t size_;
  std::vector<Cycle> cycles_;
  std::mt19937 random_{1};
};

/// A permutation of n that is l loops is the product of n − l swaps. `trade` changes two of them by the same number of
/// swaps, odd or even, so that a wrong sum could never become the (n − 1)² of n − 1 cycles. The strides' is wrong if 4
/// divides n.
bool CycleSearch::sign_is_wrong() const {
  std::size_t swaps = 0;
  for (const Cycle& c : cycles_) swaps += size_ - static_cast<std::size_t>(loops_of(c));
  return swaps % 2 != (size_ - 1) % 2;
}

/// Exchanges the steps of two permutations from one rank, and from those ranks where they would then have two steps
/// to the same rank.
void CycleSearch::trade(Cycle& a, Cycle& b, std::size_t first) {
  Cycle before(a.size());
  for (std::size_t r = 0; r < a.size(); ++r) before[static_cast<std::size_t>(a[r])] = static_cast<Rank>(r);
  std::size_t r = first;
  do {
    std::swap(a[r], b[r]);
    r = static_cast<std::size_t>(before[static_cast<std::size_t>(a[r])]);
  } while (r != first);
}

/// Exchanges the steps from x and y in one permutation, and in those where x or y would then go where it went before,
/// if these are odd in number: this changes the sign. Not if x or y would go to itself.
void CycleSearch::swap_where_odd(std::size_t first, std::size_t x, std::size_t y) {
  std::vector<std::size_t> changed;
  std::size_t c = first;
  do {
    changed.push_back(c);
    const Rank to = cycles_[c][y];
    if (to == static_cast<Rank>(x)) return;
    const auto same = [&](const Cycle& other) { return other[x] == to; };
    c = static_cast<std::size_t>(std::ranges::find_if(cycles_, same) - cycles_.begin());
  } while (c != first);
  if (changed.size() % 2 == 0) return;
  for (std::size_t i : changed) std::swap(cycles_[i][x], cycles_[i][y]);
}

std::vector<Cycle> CycleSearch::run() {
  while (sign_is_wrong()) {
    const std::size_t a = any(cycles_.size()), b = any(cycles_.size()), x = any(size_), y = any(size_);
    if (a == b || x == y) continue;
    trade(cycles_[a], cycles_[b], any(size_));
    swap_where_odd(any(cycles_.size()), x, y);
  }
  std::vector<int> loops;
  for (const Cycle& c : cycles_) loops.push_back(loops_of(c));
  const auto several = [](int l) { return l > 1; };
  for (auto bad = std::ranges::find_if(loops, several); bad != loops.end();
       bad = std::ranges::find_if(loops, several)) {
    const auto a = static_cast<std::size_t>(bad - loops.begin()), b = any(cycles_.size());
    if (a == b) continue;
    Cycle one = cycles_[a], other = cycles_[b];
    trade(one, other, any(size_));
    const int loops_one = loops_of(one), loops_other = loops_of(other);
    if (loops_one + loops_other > loops[a] + loops[b]) continue;
    cycles_[a] = std::move(one);
    cycles_[b] = std::move(other);
    loops[a] = loops_one;
    loops[b] = loops_other;
  }
  return std::move(cycles_);
}

}  // namespace

std::vector<Cycle> hamiltonian_cycles(int ranks) {
  if (ranks == 4 || ranks == 6)
    throw InvalidInput(fmt::format(
        "{} ranks have no {} Hamiltonian cycles without a common step: there are for any other number but {}", ranks,
        ranks - 1, 10 - ranks));
  if (ranks < 1 || ranks > kMostHamiltonianRanks)
    throw InvalidInput(
        fmt::format("Hamiltonian cycles are known here for 1 to {} ranks, not {}", kMostHamiltonianRanks, ranks));
  return CycleSearch(ranks).run();
}

}  // namespace meshattn
