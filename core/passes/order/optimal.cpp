#include "core/passes/order/optimal.h"

#include <algorithm>

#include "core/passes/order/fluid.h"
#include "core/passes/order/search.h"

namespace meshattn {

namespace {

/// How many states a set may keep so that a search costs about `work` steps over all; 0: not even one.
std::size_t cap_for(const TileProblem& problem, std::size_t lines, double work) {
  const double a = problem.tile.rows, b = problem.tile.columns;
  const double sets = a * b + (a + (problem.pass == Pass::kBackward ? b : 0)) * static_cast<double>(lines) / 2;
  return static_cast<std::size_t>(work / (sets * static_cast<double>(lines)));
}

SearchResult search_fluid(const TileProblem& problem, const std::vector<Line>& lines, double below) {
  constexpr std::size_t kMost = 256;
  const std::size_t cap = std::min(kMost, cap_for(problem, lines.size(), 1e7));
  if (cap == 0) return {{}, 0, false};
  const auto expand = [&](const FluidState& state, auto emit) {
    const auto receive = [&](Hop hop) {
      FluidState after = state;
      after.receive(hop);
      emit(std::move(after), Move{hop, false});
    };
    if (state.can_receive_row()) receive(Hop::kRowIn);
    if (state.can_receive_column()) receive(Hop::kColumnIn);
    if (state.can_send()) {
      FluidState after = state;
      after.send();
      emit(std::move(after), Move{lines[static_cast<std::size_t>(state.sent())].out(), false});
    }
  };
  const auto relax = [](FluidState& kept, const FluidState& extra) { kept.relax(extra); };
  return search(problem, lines.size(), FluidState(problem, lines), below, cap, expand, relax);
}

SearchResult search_blocks(const TileProblem& problem, const std::vector<Line>& lines, double below) {
  constexpr std::size_t kMost = 4096;
  const std::size_t cap = std::min(kMost, cap_for(problem, lines.size(), 1e5));
  if (cap == 0) return {{}, 0, false};
  const auto expand = [&](const LaneState& state, auto emit) {
    const auto receive = [&](Hop hop) {
      LaneState begun = state;
      begun.receive(hop, false);
      const bool straddles = begun.compute_time() > begun.channel_time();
      emit(std::move(begun), Move{hop, false});
      if (!straddles) return;
      LaneState held = state;
      held.receive(hop, true);
      emit(std::move(held), Move{hop, true});
    };
    if (state.can_receive_row()) receive(Hop::kRowIn);
    if (state.can_receive_column()) receive(Hop::kColumnIn);
    if (state.can_send()) {
      LaneState after = state;
      after.send();
      emit(std::move(after), Move{lines[static_cast<std::size_t>(state.sent())].out(), false});
    }
  };
  const auto drop = [](LaneState& kept, LaneState& extra) {
    if (extra.bound() < kept.bound()) kept = std::move(extra);
  };
  return search(problem, lines.size(), LaneState(problem, lines), below, cap, expand, drop);
}

Lanes replay(const TileProblem& problem, const std::vector<Line>& lines, const std::vector<Move>& moves,
             double* makespan) {
  LaneState state(problem, lines);
  Lanes lanes;
  for (const auto& [hop, hold_back] : moves) {
    lanes.channel.push_back(hop);
    if (hop == Hop::kRowIn || hop == Hop::kColumnIn)
      state.receive(hop, hold_back, &lanes.compute);
    else
      state.send(&lanes.compute);
  }
  *makespan = state.finish(&lanes.compute);
  return lanes;
}

/// Adds what one order of departures gives; `known` becomes the best time so far.
void add_orders(const TileProblem& problem, Departures departures, double lower_bound, double& known,
                std::vector<Lanes>& found) {
  constexpr std::size_t kTried = 8;
  const std::vector<Line> lines = lines_of(problem, departures);
  const auto try_orders = [&](const SearchResult& result) {
    for (std::size_t i = 0; i < std::min(kTried, result.ends.size()); ++i) {
      double makespan = 0;
      Lanes lanes = replay(problem, lines, result.ends[i], &makespan);
      if (makespan >= known) continue;
      known = makespan;
      found.push_back(std::move(lanes));
    }
  };
  const double enough = lower_bound + 1e-12 * lower_bound;
  if (known > enough) try_orders(search_fluid(problem, lines, known));
  if (known > enough) try_orders(search_blocks(problem, lines, known));
}

/// The channel's time, the compute's, and what must follow the last hop that brings something: its line runs and
/// leaves.
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

}  // namespace

double lower_bound_of(const TileProblem& problem, double known) {
  double bound = simple_bound(problem);
  const auto improve = [&](TileProblem relaxed) {
    if (bound >= known) return;
    relaxed.pass = Pass::kForward;
    bound = std::max(bound, search_fluid(relaxed, lines_of(relaxed, Departures::kRowsFirst), known).best);
  };
  improve(problem);
  if (problem.pass == Pass::kBackward) {
    const TileCosts& c = problem.costs;
    improve(
        {{problem.tile.columns, problem.tile.rows}, Pass::kForward, {c.column_in, c.row_in, c.column_out, 0, c.block}});
  }
  return std::min(bound, known);
}

std::vector<Lanes> optimal_lanes(const TileProblem& problem, double known, double lower_bound) {
  std::vector<Lanes> found;
  add_orders(problem, Departures::kRowsFirst, lower_bound, known, found);
  if (problem.pass == Pass::kBackward)
    for (Departures departures : {Departures::kColumnsFirst, Departures::kAlternating})
      add_orders(problem, departures, lower_bound, known, found);
  return found;
}

}  // namespace meshattn
