#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/algorithms/order/tile_problem.h"

namespace meshattn {

/// One decision of a search: the next hop, and whether compute is held back for its arrival.
struct Decision {
  Hop hop = Hop::kRowIn;
  bool hold_back = false;
};

/// The orders that a search found below the makespan that it was given.
struct SearchResult {
  std::vector<std::vector<Decision>> orders;  ///< complete orders, best first
  double best = 0;                            ///< makespan (or bound) of the first; the given one if there are none
};

/// Searches all orders of hops, breadth first. States after equally many hops of each kind form a set in which none
/// dominates another. States whose bound is not below `below` are dropped. A set holds at most `cap` states: a further
/// one is handed to `give_up(kept, extra)`, which may change the last of the set, `kept`. `lines` is the number of
/// lines of the problem. `expand(state, emit)` calls emit(next_state, decision) for each possible next hop.
template <class State, class Expand, class GiveUp>
SearchResult search(const TileProblem& problem, std::size_t lines, State start, double below, std::size_t cap,
                    Expand expand, GiveUp give_up) {
  struct Node {
    State state;
    std::uint32_t path;
  };
  struct Step {
    std::uint32_t parent;
    Decision decision;
  };
  const auto key = [&](const State& s) {
    return static_cast<std::size_t>(s.rows_in()) * lines + static_cast<std::size_t>(s.sent());
  };
  SearchResult result{{}, below};
  std::vector<Step> steps{{0, {}}};
  std::vector<std::vector<Node>> now(static_cast<std::size_t>(problem.tile.rows) * lines), next(now.size());
  now[0].push_back({std::move(start), 0});
  const double limit = below - kRounding * below;

  const auto keep = [&](State&& state, std::uint32_t parent, Decision decision) {
    if (state.bound() >= limit) return;
    std::vector<Node>& set = next[key(state)];
    for (const Node& n : set)
      if (n.state.dominates(state)) return;
    std::erase_if(set, [&](const Node& n) { return state.dominates(n.state); });
    if (set.size() >= cap) {
      give_up(set.back().state, state);
      return;
    }
    steps.push_back({parent, decision});
    set.push_back({std::move(state), static_cast<std::uint32_t>(steps.size() - 1)});
  };

  int hops = 0;
  for (Hop hop : {Hop::kRowIn, Hop::kColumnIn, Hop::kRowOut, Hop::kColumnOut}) hops += problem.count_of(hop);
  for (int i = 0; i < hops; ++i) {
    for (std::vector<Node>& set : now) {
      for (const Node& n : set)
        expand(n.state, [&](State&& state, Decision decision) { keep(std::move(state), n.path, decision); });
      set.clear();
    }
    std::swap(now, next);
  }
  std::vector<Node>& last = now[now.size() - 1];
  std::sort(last.begin(), last.end(), [](const Node& x, const Node& y) { return x.state.bound() < y.state.bound(); });
  for (const Node& n : last) {
    std::vector<Decision> decisions;
    for (std::uint32_t at = n.path; at != 0; at = steps[at].parent) decisions.push_back(steps[at].decision);
    result.orders.emplace_back(decisions.rbegin(), decisions.rend());
  }
  if (!last.empty()) result.best = std::min(below, last.front().state.bound());
  return result;
}

}  // namespace meshattn
