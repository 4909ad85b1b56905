#include "core/passes/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "core/error.h"
#include "tests/support/exhaustive_order.h"

namespace meshattn {
namespace {

constexpr Order kOrders[] = {Order::kNaive, Order::kGreedy, Order::kOptimal};
constexpr Pass kPasses[] = {Pass::kForward, Pass::kBackward};
constexpr TileBytes kBytes{1000, 10, 20, 7, 9, 5, 11};

std::string describe(Tile tile, Pass pass, const TileCosts& c) {
  return std::to_string(tile.rows) + "x" + std::to_string(tile.columns) + " " + std::string(name_of(pass)) + " costs " +
         std::to_string(c.row_in) + " " + std::to_string(c.column_in) + " " + std::to_string(c.row_out) + " " +
         std::to_string(c.column_out) + " block " + std::to_string(c.block);
}

/// Small whole numbers, so that ties and equal times are frequent, or any.
TileCosts random_costs(std::mt19937& random) {
  const bool whole = random() % 2 == 0;
  const auto cost = [&] {
    if (whole) return static_cast<double>(random() % 6);
    return std::uniform_real_distribution<double>(0.05, 4)(random);
  };
  TileCosts c;
  c.row_in = cost();
  c.column_in = cost();
  c.row_out = cost();
  c.column_out = cost();
  c.block = cost();
  return c;
}

/// Everything happens once, and nothing before what it needs.
void expect_complete(const TilePlan& plan) {
  const auto [a, b] = plan.tile;
  std::vector<int> row_left(static_cast<std::size_t>(a), b), column_left(static_cast<std::size_t>(b), a);
  std::set<std::pair<int, int>> done;
  int rows = 0, columns = 0, rows_out = 0, columns_out = 0;
  for (const TileStep& step : plan.steps) {
    if (const auto* r = std::get_if<Rectangle>(&step)) {
      ASSERT_LT(r->row_begin, r->row_end);
      ASSERT_LT(r->column_begin, r->column_end);
      ASSERT_LE(r->row_end, rows + 1);
      ASSERT_LE(r->column_end, columns + 1);
      for (int i = r->row_begin; i < r->row_end; ++i)
        for (int j = r->column_begin; j < r->column_end; ++j) {
          ASSERT_TRUE(done.emplace(i, j).second);
          --row_left[static_cast<std::size_t>(i)];
          --column_left[static_cast<std::size_t>(j)];
        }
      continue;
    }
    const Hop hop = std::get<Hop>(step);
    if (hop == Hop::kRowIn) ++rows;
    if (hop == Hop::kColumnIn) ++columns;
    if (hop == Hop::kRowOut) {
      ASSERT_LT(++rows_out, a);
      ASSERT_EQ(row_left[static_cast<std::size_t>(rows_out)], 0);
    }
    if (hop == Hop::kColumnOut) {
      ASSERT_LT(++columns_out, b);
      ASSERT_EQ(column_left[static_cast<std::size_t>(columns_out)], 0);
    }
  }
  ASSERT_EQ(done.size(), static_cast<std::size_t>(a * b));
  ASSERT_EQ(rows, a - 1);
  ASSERT_EQ(columns, b - 1);
  ASSERT_EQ(rows_out, a - 1);
  ASSERT_EQ(columns_out, plan.pass == Pass::kBackward ? b - 1 : 0);
}

TEST(Order, NamesGoBothWays) {
  for (Order order : kOrders) EXPECT_EQ(parse_order(name_of(order)), order);
  EXPECT_THROW((void)parse_order("fast"), InvalidInput);
}

// Q 0–1, K 1–3 and Q 3–4 on the channel; row 1 is held for nothing else and runs from 1 to 5, so that O can travel from
// 5 to 10 and from 10 to 15, while row 2 (5–9) and the own row (9–13) run. No O can leave earlier: its row needs Q and K,
// and a block after them. To run the own block first, or to fetch both Q before K, delays it.
TEST(Order, OptimalFindsWhatLeavingRowsFirstMisses) {
  const TilePlan plan = plan_tile({3, 2}, Pass::kForward, Order::kOptimal, {1, 2, 5, 0, 2}, kBytes);
  EXPECT_EQ(plan.makespan, 15);
  EXPECT_EQ(plan.lower_bound, 15);
}

void expect_exhaustive(Tile tile, const TileCosts& costs) {
  const TilePlan plan = plan_tile(tile, Pass::kForward, Order::kOptimal, costs, kBytes);
  EXPECT_NEAR(plan.makespan, exhaustive_makespan(tile, Pass::kForward, costs), 1e-9)
      << describe(tile, Pass::kForward, costs);
}

TEST(Order, OptimalEqualsExhaustiveSearch) {
  for (Tile tile : {Tile{1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2}, {2, 3}, {3, 1}, {3, 2}, {3, 3}, {4, 1}, {4, 2}})
    for (double row_in : {1, 2, 5})
      for (double column_in : {1, 2, 5})
        for (double row_out : {1, 2, 5})
          for (double block : {1, 2, 4}) expect_exhaustive(tile, {row_in, column_in, row_out, 0, block});
}

TEST(Order, OptimalEqualsExhaustiveSearchFor4x3And3x4) {
  std::mt19937 random(4);
  for (int i = 0; i < 16; ++i) expect_exhaustive(i % 2 ? Tile{4, 3} : Tile{3, 4}, random_costs(random));
}

TEST(Order, NoBoundExceedsTheExhaustiveSearch) {
  std::mt19937 random(5);
  for (int i = 0; i < 150; ++i) {
    const Tile tile{1 + i % 3, 1 + i / 3 % 3};
    const TileCosts costs = random_costs(random);
    for (Pass pass : kPasses) {
      if (pass == Pass::kBackward && tile.rows * tile.columns > 6) continue;
      const double shortest = exhaustive_makespan(tile, pass, costs);
      const TilePlan plan = plan_tile(tile, pass, Order::kOptimal, costs, kBytes);
      EXPECT_LE(plan.lower_bound, shortest + 1e-9) << describe(tile, pass, costs);
      EXPECT_GE(plan.makespan, shortest - 1e-9) << describe(tile, pass, costs);
    }
  }
}

TEST(Order, PlansAreCompleteAndOptimalIsTheShortest) {
  std::mt19937 random(6);
  for (int a = 1; a <= 64; ++a)
    for (int b = 1; a * b <= 64; ++b)
      for (Pass pass : kPasses)
        for (int i = 0; i < 3; ++i) {
          const TileCosts costs = random_costs(random);
          SCOPED_TRACE(describe({a, b}, pass, costs));
          double makespans[3];
          for (Order order : kOrders) {
            const TilePlan plan = plan_tile({a, b}, pass, order, costs, kBytes);
            expect_complete(plan);
            if (HasFatalFailure()) return;
            EXPECT_EQ(plan.makespan, makespan_of(plan, costs));
            EXPECT_LE(plan.lower_bound, plan.makespan);
            makespans[static_cast<int>(order)] = plan.makespan;
          }
          EXPECT_LE(makespans[2], makespans[0]);
          EXPECT_LE(makespans[2], makespans[1]);
        }
}

}  // namespace
}  // namespace meshattn
