#include "core/planner/placement_search.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/planner/grid_placement.h"
#include "core/planner/tolerances.h"

namespace meshattn {

namespace {

/// Every pass planned for one placement.
struct Candidate {
  Plan plan;
  double estimate_s = 0;
  double busiest_link_s = 0;  ///< of the links between nodes
};

/// Adds to `busy_s`, by link, the time of a schedule's bytes on the links between nodes.
void add_inter_node_load(const Schedule& s, const Network& network, std::vector<double>& busy_s) {
  for (const Transfer& t : s.transfers) {
    const Route route = network.route(s.values[t.source].rank, s.values[t.made].rank);
    if (!route.inter_node) continue;
    for (LinkId link : route.span())
      busy_s[link] += static_cast<double>(s.bytes(t.made)) / network.links()[link].bytes_per_s;
  }
}

/// A pass in one slice or, if that is faster by more than the estimate's error, in several.
/// @throws MemoryLimitTooLow if it fits in no number of them.
Phase plan_slices(Configuration c, const Network& network, const CostModel& cost) {
  if (!std::exchange(c.choose_slices, false)) return plan_phase(c, network, cost);
  std::optional<Phase> best;
  std::exception_ptr refused;
  double to_beat_s = std::numeric_limits<double>::infinity();
  for (int slices = 1; slices <= network.gpus_per_node(); ++slices) {
    c.form.slices = slices;
    if (slices > 1 && !fits_heads(c.form, c.problem.shape)) continue;
    try {
      Phase phase = plan_phase(c, network, cost);
      const double estimate_s = phase.estimate_s;
      if (estimate_s >= to_beat_s) continue;
      best = std::move(phase);
      to_beat_s = slices == 1 ? estimate_s / (1 + kSlicesGain) : estimate_s;
      // More slices compute no less.
      if (slices == 1 && to_beat_s <= busiest_compute_s(best->schedule, network, best->times.seconds)) break;
    } catch (const MemoryLimitTooLow&) {
      if (!refused) refused = std::current_exception();
    } catch (const InvalidInput&) {  // too many lanes or transfers in so many slices
      if (slices == 1) throw;
    }
  }
  if (!best) std::rethrow_exception(refused);
  return std::move(*best);
}

/// @throws MemoryLimitTooLow
Candidate plan_passes(Placement placement, const std::vector<Configuration>& passes, const Cluster& cluster) {
  const Network network(cluster, placement);
  Candidate candidate{{std::move(placement), {}}};
  std::vector<double> busy_s(network.links().size());
  for (const Configuration& pass : passes) {
    const Phase& phase =
        candidate.plan.phases.emplace_back(plan_slices(pass, network, CostModel(cluster.gpu, pass.problem)));
    candidate.estimate_s += phase.estimate_s;
    add_inter_node_load(phase.schedule, network, busy_s);
  }
  for (double busy : busy_s) candidate.busiest_link_s = std::max(candidate.busiest_link_s, busy);
  return candidate;
}

/// Linear, then every grid that is not linear under another name.
std::vector<Placement> possible_placements(const MeshForm& form, int ranks, int gpus_per_node) {
  std::vector<Placement> all{linear_placement(ranks)};
  for (Grid grid : grids_of(form.tile, form.ulysses, gpus_per_node))
    if (Placement p = grid_placement(grid, form.tile, form.ulysses, gpus_per_node); p.gpu != all.front().gpu)
      all.push_back(std::move(p));
  return all;
}

/// The placements that a rule leaves.
std::vector<Placement> placements_of(const PlacementRule& rule, const Configuration& first, const Cluster& cluster) {
  const MeshForm& form = first.form;
  const int ranks = first.problem.ranks;
  const Network unplaced(cluster, ranks);  // refuses ranks that do not fit, whatever the rule
  const int per_node = std::min(ranks, unplaced.gpus_per_node());
  if (const auto* grid = std::get_if<Grid>(&rule)) {
    if (!form.is_mesh())
      throw InvalidInput(
          fmt::format("{} has no slots to put on a grid: its placement is linear", first.algorithm->name));
    return {grid_placement(*grid, form.tile, form.ulysses, per_node)};
  }
  if (std::holds_alternative<LinearRule>(rule) || !form.is_mesh()) return {linear_placement(ranks)};
  return possible_placements(form, ranks, per_node);
}

/// The passes for each way to deal the tokens that is to be tried.
std::vector<std::vector<Configuration>> alternatives_of(Request request) {
  if (!request.choose_partition) return {configure(request)};
  std::vector<std::vector<Configuration>> alternatives;
  for (Partition partition : usual_partitions(request.problem.mask, request.algorithm)) {
    request.problem.partition = partition;
    alternatives.push_back(configure(request));
  }
  return alternatives;
}

/// Adds a candidate, and drops all that are not as fast as the fastest: schedules are large.
void offer(Candidate candidate, std::vector<Candidate>& fastest) {
  fastest.push_back(std::move(candidate));
  const double least_s = std::ranges::min(fastest, {}, &Candidate::estimate_s).estimate_s;
  std::erase_if(fastest, [&](const Candidate& c) { return c.estimate_s > (1 + kAsFast) * least_s; });
}

}  // namespace

Plan make_plan(const Request& request) {
  const auto alternatives = alternatives_of(request);
  const std::vector<Placement> placements =
      placements_of(request.placement, alternatives.front().front(), request.cluster);
  std::vector<Candidate> fastest;
  std::exception_ptr refused;
  for (const std::vector<Configuration>& passes : alternatives)
    for (const Placement& placement : placements) try {
        offer(plan_passes(placement, passes, request.cluster), fastest);
      } catch (const MemoryLimitTooLow&) {  // hop prices decide which plans are known
        if (!refused) refused = std::current_exception();
      } catch (const InvalidInput&) {  // of several ways to deal the tokens an algorithm may refuse some
        if (alternatives.size() == 1) throw;
        if (!refused) refused = std::current_exception();
      }
  if (fastest.empty()) std::rethrow_exception(refused);
  return std::move(std::ranges::min_element(fastest, {}, &Candidate::busiest_link_s)->plan);
}

}  // namespace meshattn
