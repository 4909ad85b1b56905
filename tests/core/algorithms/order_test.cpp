#include "core/algorithms/order/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "core/algorithms/order/greedy.h"
#include "core/base/error.h"
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

/// Either small whole numbers, so that ties and equal times are frequent, or any numbers.
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

/// Checks that every hop and block happens once, and none before the steps that it needs.
void expect_complete(const OrderedTile& plan) {
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

// The channel carries Q 0–1, K 1–3 and Q 3–4. Row 1 runs from 1 to 5, so that O is sent 5–10 and 10–15, while row 2
// (5–9) and the own row (9–13) run. No O can leave earlier, for its row needs Q and K and a block after them. It leaves
// later if the own block runs first, or if both Q are fetched before K.
TEST(Order, OptimalBeatsLeavingRowsFirst) {
  const OrderedTile plan = order_tile({3, 2}, Pass::kForward, Order::kOptimal, {1, 2, 5, 0, 2}, kBytes);
  EXPECT_EQ(plan.makespan, 15);
  EXPECT_EQ(plan.lower_bound, 15);
}

void expect_exhaustive(Tile tile, const TileCosts& costs) {
  const OrderedTile plan = order_tile(tile, Pass::kForward, Order::kOptimal, costs, kBytes);
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
      const OrderedTile plan = order_tile(tile, pass, Order::kOptimal, costs, kBytes);
      EXPECT_LE(plan.lower_bound, shortest + 1e-9) << describe(tile, pass, costs);
      EXPECT_GE(plan.makespan, shortest - 1e-9) << describe(tile, pass, costs);
    }
  }
}

TEST(Order, OrdersAreCompleteAndOptimalIsTheShortest) {
  std::mt19937 random(6);
  for (int a = 1; a <= 64; ++a)
    for (int b = 1; a * b <= 64; ++b)
      for (Pass pass : kPasses)
        for (int i = 0; i < 3; ++i) {
          const TileCosts costs = random_costs(random);
          SCOPED_TRACE(describe({a, b}, pass, costs));
          double makespans[3];
          for (Order order : kOrders) {
            const OrderedTile plan = order_tile({a, b}, pass, order, costs, kBytes);
            expect_complete(plan);
            if (HasFatalFailure()) return;
            EXPECT_EQ(plan.makespan, makespan_of(plan, costs));
            EXPECT_LE(plan.lower_bound, plan.makespan);
            makespans[static_cast<int>(order)] = plan.makespan;
          }
          constexpr double kRounding = 1 + 1e-11;
          EXPECT_LE(makespans[2], makespans[0] * kRounding);
          EXPECT_LE(makespans[2], makespans[1] * kRounding);
        }
}

/// Bytes held from one moment to another; step i has the moments 2i (its partials are combined) and 2i + 1 (it runs).
class Held {
 public:
  void add(std::size_t from, std::size_t to, std::uint64_t bytes) { spans_.push_back({from, to, bytes}); }
  [[nodiscard]] std::uint64_t most(std::size_t moments) const {
    std::uint64_t most = 0;
    for (std::size_t t = 0; t < moments; ++t) {
      std::uint64_t sum = 0;
      for (const auto& [from, to, bytes] : spans_) sum += from <= t && t <= to ? bytes : 0;
      most = std::max(most, sum);
    }
    return most;
  }

 private:
  struct Span {
    std::size_t from, to;
    std::uint64_t bytes;
  };
  std::vector<Span> spans_;
};

/// Memory of the rows or of the columns, from the steps at which they are received, used and sent.
void add_side(const OrderedTile& plan, bool rows, std::uint64_t in, std::uint64_t sum, std::uint64_t out, Held& held) {
  const auto lines = static_cast<std::size_t>(rows ? plan.tile.rows : plan.tile.columns);
  const std::size_t end = 2 * plan.steps.size();
  std::vector<std::size_t> received(1, 0), sent(1, 0), first(lines, end), last(lines, 0);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    if (const auto* hop = std::get_if<Hop>(&plan.steps[i])) {
      if (*hop == (rows ? Hop::kRowIn : Hop::kColumnIn)) received.push_back(2 * i + 1);
      if (*hop == (rows ? Hop::kRowOut : Hop::kColumnOut)) sent.push_back(2 * i);
      continue;
    }
    const Rectangle& r = std::get<Rectangle>(plan.steps[i]);
    for (int j = rows ? r.row_begin : r.column_begin; j < (rows ? r.row_end : r.column_end); ++j) {
      first[static_cast<std::size_t>(j)] = std::min(first[static_cast<std::size_t>(j)], 2 * i + 1);
      last[static_cast<std::size_t>(j)] = 2 * i + 1;
    }
  }
  for (std::size_t s = 1; s < lines; ++s)
    held.add(received[s], std::max(last[s], s + 1 < lines ? received[s + 1] : 0), in);
  for (std::size_t s = 0; s < lines; ++s) {
    const bool leaves = s > 0 && s < sent.size();
    const bool combined = s > 1 || out != sum;  // the first one is not combined unless it is cast
    held.add(first[s], leaves ? sent[s] + (combined ? 0 : 1) : end, sum);
    if (!leaves) continue;
    if (combined) held.add(sent[s], sent[s] + 1, out);
    held.add(sent[s] + 1, s + 1 < sent.size() ? sent[s + 1] : end, out);
  }
}

std::uint64_t peak_by_definition(const OrderedTile& plan, const TileBytes& bytes) {
  Held held;
  held.add(0, 2 * plan.steps.size(), bytes.resident);
  add_side(plan, true, bytes.row_in, bytes.row_sum, bytes.row_out, held);
  const bool backward = plan.pass == Pass::kBackward;
  add_side(plan, false, bytes.column_in, backward ? bytes.column_sum : 0, backward ? bytes.column_out : 0, held);
  return held.most(2 * plan.steps.size());
}

/// Tightens the limit until nothing fits.
void expect_limits_kept(Tile tile, Pass pass, Order order, const TileCosts& costs, const TileBytes& bytes) {
  SCOPED_TRACE(describe(tile, pass, costs) + " " + std::string(name_of(order)));
  const OrderedTile free = order_tile(tile, pass, order, costs, bytes);
  ASSERT_EQ(free.peak_bytes, peak_by_definition(free, bytes));
  for (std::uint64_t limit = free.peak_bytes; true;) {
    const std::optional<OrderedTile> plan = order_tile_within(tile, pass, order, costs, bytes, limit);
    if (!plan) break;
    expect_complete(*plan);
    ASSERT_LE(plan->peak_bytes, limit);
    ASSERT_EQ(plan->peak_bytes, peak_by_definition(*plan, bytes));
    ASSERT_EQ(plan->makespan, makespan_of(*plan, costs));
    if (order == Order::kOptimal) {
      ASSERT_GE(plan->makespan, free.makespan * (1 - 1e-11));
    }
    limit = plan->peak_bytes - 1;
  }
}

TEST(Order, KeepsToAMemoryLimitDownToTheLeast) {
  std::mt19937 random(7);
  const TileBytes casting{1000, 10, 20, 8, 12, 4, 6}, plain{0, 10, 20, 8, 12, 8, 12};
  for (Tile tile : {Tile{1, 1}, {1, 5}, {5, 1}, {2, 2}, {3, 5}, {5, 3}, {4, 4}, {8, 4}, {6, 7}})
    for (Pass pass : kPasses)
      for (Order order : kOrders)
        for (const TileBytes& bytes : {kBytes, casting, plain})
          for (int i = 0; i < 3; ++i) expect_limits_kept(tile, pass, order, random_costs(random), bytes);
}

// While the block of column t runs, from one buffer, column t + 1 arrives in the other. Column t + 2 need not start
// before block t has ended, for block t + 1 takes at least as long as its hop. From the third column on both buffers
// are in use; only the own row's accumulator is held besides.
TEST(Order, RingHoldsTwoReceivedColumns) {
  for (Order order : kOrders)
    for (double block : {2.0, 3.0, 7.5}) {
      const OrderedTile plan = order_tile({1, 9}, Pass::kForward, order, {1, 2, 1, 0, block}, kBytes);
      EXPECT_EQ(plan.peak_bytes, kBytes.resident + kBytes.row_sum + 2 * kBytes.column_in);
      EXPECT_EQ(plan.makespan, 9 * block);
    }
}

// 64×64: neighbours are computed as one. There are about two rectangles for each of the 126 arrivals and one for each
// of the 63 departures, at most.
TEST(Order, FewRectangles) {
  for (Order order : kOrders)
    for (double block : {0.05, 0.2, 0.5, 2.0}) {
      const OrderedTile plan = order_tile({64, 64}, Pass::kForward, order, {1, 2, 1, 0, block}, kBytes);
      const auto rectangles = std::count_if(plan.steps.begin(), plan.steps.end(),
                                            [](const TileStep& s) { return std::holds_alternative<Rectangle>(s); });
      EXPECT_LE(rectangles, 2 * 126 + 63);
    }
}

TEST(Order, RefusesEmptyTilesAndNegativeCosts) {
  EXPECT_THROW((void)order_tile({0, 4}, Pass::kForward, Order::kNaive, {}, kBytes), InvalidInput);
  EXPECT_THROW((void)order_tile({2, 4}, Pass::kForward, Order::kNaive, {1, -1, 1, 1, 1}, kBytes), InvalidInput);
}

/// The paper's rule, by hand. 3x3 with hops of 1 (Q), 2 (KV), 2 (O) and blocks of 1: a Q unlocks one block per received
/// KV and costs 1, and 2 for its O; a KV unlocks one block per received Q and costs 2. With r Q and c KV received, Q
/// goes first if (c + 1) · 2 ≥ (r + 1) · 3: 2 < 3 KV; 4 ≥ 3 Q; 4 < 6 KV; then the last Q and two O. 4x1 with all costs
/// 1: at 2 row 1 is done (its block ran from 1 to 2) and row 2's block covers the hop of its O, which leaves before the
/// last Q. At 3 row 2 is done, but no block covers the hop of its O: the last Q comes first.
TEST(Order, GreedyTakesTheHopThatUnlocksMost) {
  using enum Hop;
  EXPECT_EQ(greedy_orders({{3, 3}, Pass::kForward, {1, 2, 2, 0, 1}}).front().hops,
            (std::vector{kColumnIn, kRowIn, kColumnIn, kRowIn, kRowOut, kRowOut}));
  EXPECT_EQ(greedy_orders({{4, 1}, Pass::kForward, {1, 0, 1, 0, 1}}).front().hops,
            (std::vector{kRowIn, kRowIn, kRowOut, kRowIn, kRowOut, kRowOut}));
}

}  // namespace
}  // namespace meshattn
