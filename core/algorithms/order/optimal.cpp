#include "core/algorithms/order/optimal.h"

#include <algorithm>

#include "core/algorithms/order/lane_state.h"
#include "core/algorithms/order/preemptible_state.h"
#include "core/algorithms/order/search.h"

namespace meshattn {

namespace {

/// States that a set may keep so that a search takes about `work` steps in all, at least one; 0 if one is too many.
std::size_t cap_for(const TileProblem& problem, std::size_t lines, double work) {
  constexpr double kMost = 4e7;
  const double a = problem.tile.rows, b = problem.tile.columns;
  const double sets = a * b + (a + (problem.pass == Pass::kBackward ? b : 0)) * static_cast<double>(lines) / 2;
  const double steps = sets * static_cast<double>(lines);
  return steps > kMost ? 0 : static_cast<std::size_t>(std::max(1.0, work / steps));
}

SearchResult search_preemptible(const TileProblem& problem, const std::vector<Line>& lines, double below) {
  constexpr std::size_t kMost = 256;
  const std::size_t cap = std::min(kMost, cap_for(problem, lines.size(), 1e7));
  if (cap == 0) return {{}, 0};
  const auto expand = [&](const PreemptibleState& state, auto emit) {
    const auto receive = [&](Hop hop) {
      PreemptibleState after = state;
      after.receive(hop);
      emit(std::move(after), Decision{hop, false});
    };
    if (state.can_receive_row()) receive(Hop::kRowIn);
    if (state.can_receive_column()) receive(Hop::kColumnIn);
    if (state.can_send()) {
      PreemptibleState after = state;
      after.send();
      emit(std::move(after), Decision{lines[static_cast<std::size_t>(state.sent())].out(), false});
    }
  };
  const auto relax = [](PreemptibleState& kept, const PreemptibleState& extra) { kept.relax(extra); };
  return search(problem, lines.size(), PreemptibleState(problem, lines), below, cap, expand, relax);
}

SearchResult search_blocks(const TileProblem& problem, const std::vector<Line>& lines, double below) {
  constexpr std::size_t kMost = 4096;
  const std::size_t cap = std::min(kMost, cap_for(problem, lines.size(), 1e5));
  if (cap == 0) return {{}, 0};
  const auto expand = [&](const LaneState& state, auto emit) {
    const auto receive = [&](Hop hop) {
      LaneState begun = state;
      begun.receive(hop, false);
      const bool straddles = begun.compute_time() > begun.channel_time();
      emit(std::move(begun), Decision{hop, false});
      if (!straddles) return;
      LaneState held = state;
      held.receive(hop, true);
      emit(std::move(held), Decision{hop, true});
    };
    if (state.can_receive_row()) receive(Hop::kRowIn);
    if (state.can_receive_column()) receive(Hop::kColumnIn);
    if (state.can_send()) {
      LaneState after = state;
      after.send();
      emit(std::move(after), Decision{lines[static_cast<std::size_t>(state.sent())].out(), false});
    }
  };
  const auto drop = [](LaneState& kept, LaneState& extra) {
    if (extra.bound() < kept.bound()) kept = std::move(extra);
  };
  return search(problem, lines.size(), LaneState(problem, lines), below, cap, expand, drop);
}

LaneOrder replay(const TileProblem& problem, const std::vector<Line>& lines, const std::vector<Decision>& decisions,
                 double* makespan) {
  LaneState state(problem, lines);
  LaneOrder order;
  for (const auto& [hop, hold_back] : decisions) {
    order.hops.push_back(hop);
    if (hop == Hop::kRowIn || hop == Hop::kColumnIn)
      state.receive(hop, hold_back, &order.blocks);
    else
      state.send(&order.blocks);
  }
  *makespan = state.finish(&order.blocks);
  return order;
}

/// The largest of three times: of the channel, of the compute, and of all arrivals with the blocks and the departure of
/// the line that arrives last.
double simple_bound(const TileProblem& problem) {
  const auto [a, b] = problem.tile;
  const TileCosts& c = problem.costs;
  const double in = (a - 1) * c.row_in + (b - 1) * c.column_in;
  const double row_out = a > 1 ? c.row_out : 0,
               column_out = problem.pass == Pass::kBackward && b > 1 ? c.column_out : 0;
  const double row_tail = b * c.block + row_out, column_tail = a * c.block + column_out;
  const double tail = a == 1 ? column_tail : b == 1 ? row_tail : std::min(row_tail, column_tail);
  const double compute = problem.blocks() * c.block;
  return std::max({problem.cost_of_all_hops(), compute, a * b > 1 ? in + tail : 0});
}

/// Collects orders, each shorter than all before it.
class Solver {
 public:
  Solver(const TileProblem& problem, double known) : problem_(problem), known_(known) {
    solution_.lower_bound = simple_bound(problem);
  }

  Solution run(bool want_orders) {
    const std::vector<Line> lines = lines_of(problem_, Departures::kRowsFirst);
    if (problem_.pass == Pass::kForward) {
      if (is_proved()) return solution_;
      const SearchResult preemptible = search_preemptible(problem_, lines, known_);
      raise_bound(preemptible.best);
      if (want_orders) {
        try_orders(lines, preemptible);
        if (!is_proved()) try_orders(lines, search_blocks(problem_, lines, known_));
      }
    } else {
      relax();
      for (Departures d : {Departures::kRowsFirst, Departures::kColumnsFirst, Departures::kAlternating})
        if (want_orders) try_departures(lines_of(problem_, d));
    }
    return std::move(solution_);
  }

 private:
  [[nodiscard]] bool is_proved() const { return known_ <= solution_.lower_bound * (1 + kRounding); }

  void raise_bound(double bound) { solution_.lower_bound = std::max(solution_.lower_bound, std::min(bound, known_)); }

  /// Bounds of the tile if only its rows, and if only its columns left.
  void relax() {
    const TileCosts& c = problem_.costs;
    const Tile turned{problem_.tile.columns, problem_.tile.rows};
    for (const TileProblem& relaxed :
         {TileProblem{problem_.tile, Pass::kForward, c},
          TileProblem{turned, Pass::kForward, {c.column_in, c.row_in, c.column_out, 0, c.block}}})
      if (!is_proved())
        raise_bound(search_preemptible(relaxed, lines_of(relaxed, Departures::kRowsFirst), known_).best);
  }

  void try_departures(const std::vector<Line>& lines) {
    if (!is_proved()) try_orders(lines, search_preemptible(problem_, lines, known_));
    if (!is_proved()) try_orders(lines, search_blocks(problem_, lines, known_));
  }

  void try_orders(const std::vector<Line>& lines, const SearchResult& result) {
    constexpr std::size_t kTried = 8;
    for (std::size_t i = 0; i < std::min(kTried, result.orders.size()); ++i) {
      double makespan = 0;
      LaneOrder order = replay(problem_, lines, result.orders[i], &makespan);
      if (makespan >= known_) continue;
      known_ = makespan;
      solution_.orders.push_back(std::move(order));
    }
  }

  const TileProblem& problem_;
  double known_;
  Solution solution_;
};

}  // namespace

Solution solve(const TileProblem& problem, double known, bool want_orders) {
  return Solver(problem, known).run(want_orders);
}

}  // namespace meshattn
