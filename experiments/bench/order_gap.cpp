// How far each order is above the lower bound of the one-lane model, over all tiles of n = 16 … 256 ranks.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <vector>

#include "core/algorithms/order/order.h"
#include "core/base/error.h"

namespace meshattn {
namespace {

constexpr std::array kOrders{Order::kNaive, Order::kGreedy, Order::kOptimal};

/// Costs of hops, in units of one Q chunk in bf16. GQA g: g query heads share a key/value head.
struct Wire {
  std::string_view name;
  Pass pass;
  TileCosts costs;
};

constexpr Wire kWires[] = {
    {"forward, MHA, bf16 partials", Pass::kForward, {1, 2, 1, 0, 0}},
    {"forward, MHA, fp32 partials", Pass::kForward, {1, 2, 2, 0, 0}},
    {"forward, GQA 8, bf16 partials", Pass::kForward, {1, 0.25, 1, 0, 0}},
    {"forward, GQA 8, fp32 partials", Pass::kForward, {1, 0.25, 2, 0, 0}},
    {"backward, MHA, bf16 partials", Pass::kBackward, {2, 2, 1, 2, 0}},
    {"backward, MHA, fp32 partials", Pass::kBackward, {2, 2, 2, 4, 0}},
    {"backward, GQA 8, bf16 partials", Pass::kBackward, {2, 0.25, 1, 0.25, 0}},
    {"backward, GQA 8, fp32 partials", Pass::kBackward, {2, 0.25, 2, 0.5, 0}},
};

constexpr double kBlocks[] = {0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10};

/// Gaps of one order to the lower bound, relative to it.
struct Gaps {
  std::vector<double> all;
  double worst = 0;
  Tile worst_tile;
  double worst_block = 0;
  double seconds = 0;

  void add(const OrderedTile& plan, double lower_bound, double block) {
    const double gap = plan.makespan / lower_bound - 1;
    all.push_back(gap);
    if (gap > worst) {
      worst = gap;
      worst_tile = plan.tile;
      worst_block = block;
    }
  }
  [[nodiscard]] double mean() const {
    double sum = 0;
    for (double gap : all) sum += gap;
    return sum / static_cast<double>(all.size());
  }
  /// Fraction of the tiles whose order meets the bound, which proves it to be the shortest.
  [[nodiscard]] double proved() const {
    return static_cast<double>(std::count_if(all.begin(), all.end(), [](double gap) { return gap < 1e-9; })) /
           static_cast<double>(all.size());
  }
};

void add_tile(Tile tile, const Wire& wire, std::array<Gaps, 3>& gaps) {
  using Clock = std::chrono::steady_clock;
  for (double block : kBlocks) {
    TileCosts costs = wire.costs;
    costs.block = block;
    std::array<OrderedTile, 3> plans;
    double lower_bound = 0;
    for (std::size_t i = 0; i < kOrders.size(); ++i) {
      const auto start = Clock::now();
      plans[i] = order_tile(tile, wire.pass, kOrders[i], costs, TileBytes{});
      gaps[i].seconds += std::chrono::duration<double>(Clock::now() - start).count();
      lower_bound = std::max(lower_bound, plans[i].lower_bound);
    }
    if (plans[2].makespan > std::min(plans[0].makespan, plans[1].makespan) * (1 + 1e-11))
      throw Error(fmt::format("optimal is longer than another order on {}x{}", tile.rows, tile.columns));
    for (std::size_t i = 0; i < kOrders.size(); ++i) gaps[i].add(plans[i], lower_bound, block);
  }
}

void run() {
  fmt::print("Time above the lower bound, over all tiles; block costs {} Q hops.\n", fmt::join(kBlocks, ", "));
  fmt::print("{:32}{:>5} {:8}{:>9}{:>9}  {:18}{:>9}{:>9}\n", "hops", "n", "order", "mean", "worst", "worst tile, block",
             "proved", "plans/s");
  for (const Wire& wire : kWires)
    for (int n : {16, 32, 64, 128, 256}) {
      std::array<Gaps, 3> gaps;
      for (int a = 1; a <= n; ++a)
        if (n % a == 0) add_tile({a, n / a}, wire, gaps);
      for (std::size_t i = 0; i < kOrders.size(); ++i) {
        const Gaps& g = gaps[i];
        fmt::print("{:32}{:>5} {:8}{:>8.2f}%{:>8.2f}%  {:18}{:>8.1f}%{:>9.0f}\n", wire.name, n, name_of(kOrders[i]),
                   100 * g.mean(), 100 * g.worst,
                   fmt::format("{}x{}, {}", g.worst_tile.rows, g.worst_tile.columns, g.worst_block), 100 * g.proved(),
                   static_cast<double>(g.all.size()) / g.seconds);
      }
    }
}

}  // namespace
}  // namespace meshattn

int main() {
  try {
    meshattn::run();
  } catch (const meshattn::Error& error) {
    fmt::print(stderr, "order_gap: {}\n", error.what());
    return 1;
  }
  return 0;
}
