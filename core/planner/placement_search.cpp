#include "core/planner/placement_search.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace meshattn {

namespace {

/// A placement, with the best that was found of everything else.
struct Candidate {
  Arrangement arrangement;
  double estimate_s = 0;
  double busiest_link_s = 0;  ///< of those between nodes
};

/// Adds to `busy_s`, by link, what a schedule moves over the links between nodes.
void add_inter_node_load(const Schedule& s, const Network& network, std::vector<double>& busy_s) {
  for (const Transfer& t : s.transfers) {
    const Route route = network.route(s.values[t.source].rank, s.values[t.made].rank);
    if (!route.inter_node) continue;
    for (LinkId link : route.span())
      busy_s[link] += static_cast<double>(s.bytes(t.made)) / network.links()[link].bytes_per_s;
  }
}

/// What a pass is planned as, and how.
struct Choice {
  PlanRequest request;
  Plan plan;
};

/// A pass in one slice or, if that is faster by more than the estimate's error, in several.
/// @throws MemoryLimitTooLow if it fits in no number of them.
Choice with_slices(PlanRequest request, const Network& network, const CostModel& cost) {
  if (!std::exchange(request.method.choose_slices, false)) return {request, make_plan(request, network, cost)};
  std::optional<Choice> best;
  std::exception_ptr refused;
  constexpr double kCertain = 1.02;
  double to_beat_s = std::numeric_limits<double>::infinity();
  for (int slices = 1; slices <= network.gpus_per_node(); ++slices) {
    request.method.form.slices = slices;
    if (slices > 1 && !fits_heads(request.method.form, request.problem.shape)) continue;
    try {
      Plan plan = make_plan(request, network, cost);
      const double estimate_s = plan.estimate_s;
      if (estimate_s >= to_beat_s) continue;
      best = {request, std::move(plan)};
      to_beat_s = slices == 1 ? estimate_s / kCertain : estimate_s;
      // More slices compute no less.
      if (slices == 1 &&
          to_beat_s <= busiest_compute_s(best->plan.schedule, network, cost.times(best->plan.schedule).seconds))
        break;
    } catch (const MemoryLimitTooLow&) {
      if (!refused) refused = std::current_exception();
    } catch (const InvalidInput&) {  // too many lanes or transfers for so many slices
      if (slices == 1) throw;
    }
  }
  if (!best) std::rethrow_exception(refused);
  return std::move(*best);
}

/// Plans all passes. @throws MemoryLimitTooLow
Candidate evaluated(Placement placement, const Passes& passes, const Cluster& cluster) {
  const Network network(cluster, placement);
  Candidate candidate{{std::move(placement), {}}, 0, 0};
  std::vector<double> busy_s(network.links().size());
  for (const PlanRequest& request : passes) {
    const Choice choice = with_slices(request, network, CostModel(cluster.gpu, request.problem));
    candidate.arrangement.passes.push_back(choice.request);
    candidate.estimate_s += choice.plan.estimate_s;
    add_inter_node_load(choice.plan.schedule, network, busy_s);
  }
  for (double busy : busy_s) candidate.busiest_link_s = std::max(candidate.busiest_link_s, busy);
  return candidate;
}

/// Linear, then every grid that is not linear under another name.
std::vector<Placement> possible_placements(const MeshForm& form, int ranks, int gpus_per_node) {
  std::vector<Placement> all{linear_placement(ranks)};
  for (Grid grid : grids_of(form.tile, form.ulysses, gpus_per_node))
    if (Placement p = placed(grid, form.tile, form.ulysses, gpus_per_node); p.gpu != all.front().gpu)
      all.push_back(std::move(p));
  return all;
}

/// The placements that a rule leaves.
std::vector<Placement> placements_of(const PlacementRule& rule, const PlanRequest& first, const Cluster& cluster) {
  const Method& method = first.method;
  const int ranks = first.problem.ranks;
  const Network unplaced(cluster, ranks);  // refuses ranks that do not fit, whatever the rule
  const int per_node = std::min(ranks, unplaced.gpus_per_node());
  if (const auto* grid = std::get_if<Grid>(&rule)) {
    if (method.generator != Generator::kMesh)
      throw InvalidInput(fmt::format("{} has no places to put on a grid: its placement is linear", method.algorithm));
    return {placed(*grid, method.form.tile, method.form.ulysses, per_node)};
  }
  if (std::holds_alternative<LinearRule>(rule) || method.generator != Generator::kMesh)
    return {linear_placement(ranks)};
  return possible_placements(method.form, ranks, per_node);
}

Arrangement best_of(std::vector<Candidate> candidates) {
  constexpr double kEqual = 1.001;
  const double fastest = std::ranges::min(candidates, {}, &Candidate::estimate_s).estimate_s;
  std::erase_if(candidates, [&](const Candidate& c) { return c.estimate_s > kEqual * fastest; });
  return std::ranges::min_element(candidates, {}, &Candidate::busiest_link_s)->arrangement;
}

bool leaves_slices_open(const Passes& passes) {
  return std::ranges::any_of(passes, [](const PlanRequest& p) { return p.method.choose_slices; });
}

}  // namespace

Arrangement arrange(const PlacementRule& rule, std::span<const Passes> alternatives, const Cluster& cluster) {
  const Passes& first = alternatives.front();
  std::vector<Placement> placements = placements_of(rule, first.front(), cluster);
  if (alternatives.size() == 1 && placements.size() == 1 && !leaves_slices_open(first))
    return {std::move(placements.front()), first};
  std::vector<Candidate> candidates;
  std::exception_ptr refused;
  for (const Passes& passes : alternatives)
    for (const Placement& placement : placements) try {
        candidates.push_back(evaluated(placement, passes, cluster));
      } catch (const MemoryLimitTooLow&) {  // hop prices decide which plans are known
        if (!refused) refused = std::current_exception();
      } catch (const InvalidInput&) {  // of several ways to deal the tokens an algorithm may refuse some
        if (alternatives.size() == 1) throw;
        if (!refused) refused = std::current_exception();
      }
  if (candidates.empty()) std::rethrow_exception(refused);
  return best_of(std::move(candidates));
}

}  // namespace meshattn
