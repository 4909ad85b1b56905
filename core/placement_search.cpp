#include "core/placement_search.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "core/error.h"

namespace meshattn {

namespace {

struct Candidate {
  Placement placement;
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

/// Plans all passes. @throws MemoryLimitTooLow
Candidate evaluated(Placement placement, std::span<const PlanRequest> passes, const Cluster& cluster) {
  const Network network(cluster, placement);
  Candidate candidate{std::move(placement), 0, 0};
  std::vector<double> busy_s(network.links().size());
  for (const PlanRequest& request : passes) {
    const Plan plan = make_plan(request, network, CostModel(cluster.gpu, request.problem));
    candidate.estimate_s += plan.estimate_s;
    add_inter_node_load(plan.schedule, network, busy_s);
  }
  for (double busy : busy_s) candidate.busiest_link_s = std::max(candidate.busiest_link_s, busy);
  return candidate;
}

/// Linear, then every grid that is not linear under another name.
std::vector<Placement> possible_placements(const MeshForm& form, int ranks, int gpus_per_node) {
  std::vector<Placement> all{linear(ranks)};
  for (Grid grid : grids_of(form.tile, form.ulysses, gpus_per_node))
    if (Placement p = placed(grid, form.tile, form.ulysses, gpus_per_node); p.gpu != all.front().gpu)
      all.push_back(std::move(p));
  return all;
}

Placement best_of(std::vector<Placement> placements, std::span<const PlanRequest> passes, const Cluster& cluster) {
  if (placements.size() == 1) return placements.front();
  std::vector<Candidate> candidates;
  std::exception_ptr refused;
  for (Placement& p : placements) try {
      candidates.push_back(evaluated(std::move(p), passes, cluster));
    } catch (const MemoryLimitTooLow&) {  // hop prices decide which plans are known
      refused = std::current_exception();
    }
  if (candidates.empty()) std::rethrow_exception(refused);
  constexpr double kEqual = 1.001;
  const double fastest = std::ranges::min(candidates, {}, &Candidate::estimate_s).estimate_s;
  std::erase_if(candidates, [&](const Candidate& c) { return c.estimate_s > kEqual * fastest; });
  return std::ranges::min_element(candidates, {}, &Candidate::busiest_link_s)->placement;
}

}  // namespace

Placement choose_placement(const PlacementRule& rule, std::span<const PlanRequest> passes, const Cluster& cluster) {
  const Method& method = passes.front().method;
  const int ranks = passes.front().problem.ranks;
  const Network unplaced(cluster, ranks);  // refuses ranks that do not fit, whatever the rule
  const int per_node = std::min(ranks, unplaced.gpus_per_node());
  if (const auto* grid = std::get_if<Grid>(&rule)) {
    if (method.generator != Generator::kMesh)
      throw InvalidInput(fmt::format("{} has no places to put on a grid: its placement is linear", method.algorithm));
    return placed(*grid, method.form.tile, method.form.ulysses, per_node);
  }
  if (std::holds_alternative<LinearRule>(rule) || method.generator != Generator::kMesh) return linear(ranks);
  return best_of(possible_placements(method.form, ranks, per_node), passes, cluster);
}

}  // namespace meshattn
