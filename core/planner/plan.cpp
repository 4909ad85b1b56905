#include "core/planner/plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/invalid_option.h"
#include "core/execution/estimate.h"
#include "core/planner/tile_costs.h"
#include "core/planner/tolerances.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"

namespace meshattn {

namespace {

/// Largest number of transfers that is planned: a ring of 4,096, or 16,384 ranks with 1,024 to each.
constexpr double kMostTransfers = 0x1p24;
/// Memory per transfer of a whole `simulate`, measured on rings of 256 and 1,024.
constexpr double kBytesPerTransfer = 200;

void check_size(const Configuration& c) {
  const double to_rank = transfers_to_rank(c.form, c.problem.pass), transfers = to_rank * c.problem.ranks;
  if (transfers > kMostTransfers)
    throw InvalidInput(
        fmt::format("{} {} takes {:.0f} transfers to each of {} ranks, about {:.0f} GB to plan and simulate: at most "
                    "{:.0f} to so many ranks; a squarer tile takes fewer",
                    c.algorithm->name, form_text(c.form), to_rank, c.problem.ranks, transfers * kBytesPerTransfer / 1e9,
                    kMostTransfers / c.problem.ranks));
}

/// Makes schedules of a configuration and keeps the best.
class Planner {
 public:
  Planner(const Configuration& configuration, const Network& network, const CostModel& cost)
      : configuration_(configuration),
        network_(network),
        cost_(cost),
        hops_(tile_costs(configuration, network, cost)),
        bytes_(tile_bytes(configuration)) {}

  /// Tries an order and, until `enough` of its plans fit, leaner and leaner ones; `topology` with and without the load
  /// that its two lanes share: each is the better model in some cases.
  void try_order(Order order, int enough);
  /// Tries orders for other prices of hops, of all or of one side, because one price stands for hops that differ. Only
  /// for small schedules: large ones take too long. core/algorithms/order/README.md says what it gains.
  void try_other_prices();
  /// Tries the steps that the form fixes.
  void try_fixed();
  [[nodiscard]] Phase best();

 private:
  [[nodiscard]] Phase build(OrderedTile ordered_tile, bool two_lanes) const;
  void try_order(Order order, const TileCosts& costs, int enough);
  void offer(Phase phase);

  const Configuration& configuration_;
  const Network& network_;
  const CostModel& cost_;
  TileCosts hops_;
  TileBytes bytes_;
  struct Tried {
    std::vector<TileStep> steps;
    bool two_lanes;
    bool fits;
  };
  std::vector<Tried> tried_;
  std::size_t ops_built_ = 0;
  std::optional<Phase> best_;
  std::optional<Phase> leanest_;  ///< of the phases that did not fit
};

Schedule generate(Configuration c, const Network& network, std::span<const TileStep> steps, bool two_lanes) {
  c.form = with_node_grid(c.form, network);
  c.form.two_lanes = two_lanes;
  return c.algorithm->generate(c, steps);
}

Phase Planner::build(OrderedTile ordered_tile, bool two_lanes) const {
  Phase phase{.configuration = configuration_, .ordered_tile = std::move(ordered_tile)};
  Schedule& s = phase.schedule;
  s = prune(generate(configuration_, network_, phase.ordered_tile.steps, two_lanes));
  phase.times = cost_.times(s);
  const Trace planned = estimate(s, network_, phase.times, Receive::kAsListed);
  assign_memory(s, planned);
  if (const std::uint64_t peak = s.peak_bytes; peak > configuration_.memory_limit) {
    assign_memory(s);
    if (s.peak_bytes > peak) assign_memory(s, planned);  // it left more gaps
  }
  phase.estimate_s = estimate(s, network_, phase.times).makespan_s;
  return phase;
}

void Planner::offer(Phase phase) {
  if (phase.schedule.peak_bytes > configuration_.memory_limit) {
    if (!leanest_ || phase.schedule.peak_bytes < leanest_->schedule.peak_bytes) leanest_ = std::move(phase);
    return;
  }
  const double faster = best_ ? best_->estimate_s - phase.estimate_s : 0;
  const double equal = best_ ? kSameEstimate * best_->estimate_s : 0;
  const bool leaner = best_ && phase.schedule.peak_bytes < best_->schedule.peak_bytes;
  if (!best_ || faster > equal || (faster >= -equal && leaner)) best_ = std::move(phase);
}

void Planner::try_order(Order order, int enough) {
  try_order(order, hops_, enough);
  if (order != Order::kTopology) return;
  TileCosts apart = hops_;
  if (std::exchange(apart.busiest_link, 0) > 0) try_order(order, apart, enough);
}

void Planner::try_order(Order order, const TileCosts& costs, int enough) {
  constexpr std::size_t kMostOps = 4'000'000;  // built for the sake of choice: a few seconds
  // What the order counts as live is that of a dense tile without gaps: only a schedule tells whether it fits. Plans
  // come in the same sequence whatever the request's limit is, so what fits one limit is found under any higher one.
  std::uint64_t limit = UINT64_MAX;
  const bool two_lanes = order == Order::kTopology;
  for (int fitting = 0; fitting < enough && !(best_ && ops_built_ > kMostOps);) {
    std::optional<OrderedTile> steps =
        order_tile_within(configuration_.form.tile, configuration_.problem.pass, order, costs, bytes_, limit);
    if (!steps) return;  // there is no leaner plan of this order
    limit = steps->peak_bytes - 1;
    const auto is_known = [&](const Tried& t) { return t.two_lanes == two_lanes && t.steps == steps->steps; };
    auto known = std::ranges::find_if(tried_, is_known);
    if (known == tried_.end()) {
      Phase phase = build(std::move(*steps), two_lanes);
      ops_built_ += phase.schedule.ops.size();
      tried_.push_back({phase.ordered_tile.steps, two_lanes, phase.schedule.peak_bytes <= configuration_.memory_limit});
      known = std::prev(tried_.end());
      offer(std::move(phase));
    }
    fitting += known->fits;
  }
}

void Planner::try_other_prices() {
  constexpr std::size_t kMostOps = 200'000;  // built for it and before
  constexpr std::pair<double, double> kFactors[] = {{4, 4}, {0.25, 0.25}, {4, 1}, {1, 4}, {8, 1}, {1, 8}};
  for (const auto& [rows, columns] : kFactors)
    for (Order order : {Order::kGreedy, Order::kOptimal}) {
      if (ops_built_ > kMostOps) return;
      TileCosts costs = hops_;
      for (double* hop : {&costs.row_in, &costs.row_out}) *hop *= rows;
      for (double* hop : {&costs.column_in, &costs.column_out}) *hop *= columns;
      try_order(order, costs, 1);
    }
}

void Planner::try_fixed() {
  const MeshForm& form = configuration_.form;
  const Pass pass = configuration_.problem.pass;
  offer(build({form.tile, pass, fixed_steps(form, pass)}, false));
}

Phase Planner::best() {
  if (best_) return std::move(*best_);
  throw MemoryLimitTooLow(form_text(configuration_.form), configuration_.memory_limit, leanest_->schedule.peak_bytes);
}

}  // namespace

MemoryLimitTooLow::MemoryLimitTooLow(const std::string& form, std::uint64_t limit, std::uint64_t least)
    : InvalidInput(fmt::format("no known order of tile {} keeps to {} bytes: the least possible is {} bytes", form,
                               limit, least)),
      least_(least) {}

Phase plan_phase(const Configuration& c, const Network& network, const CostModel& cost) {
  const auto begin = std::chrono::steady_clock::now();
  check(c.problem);
  check(with_node_grid(c.form, network), c.problem);
  check_size(c);
  Planner planner(c, network, cost);
  const std::optional<Order> only = c.algorithm->order ? c.algorithm->order : c.order;
  const bool fixed = c.form.steps != Steps::kPlanned;
  if (c.order && (fixed || c.order != only))
    throw InvalidOption(fmt::format("{} has an order of its own: it takes no ", c.algorithm->name), "order", "");
  if (fixed) {
    planner.try_fixed();
  } else if (only) {
    planner.try_order(*only, 1);
  } else {
    for (Order order : {Order::kOptimal, Order::kGreedy, Order::kNaive}) planner.try_order(order, 3);
    if (c.form.tile.rows > 1 && c.form.tile.columns > 1) planner.try_order(Order::kTopology, 1);
    if (c.form.slices == 1) planner.try_other_prices();  // of others the estimate is less exact
  }
  Phase best = planner.best();
  best.planning_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return best;
}

std::string forms_text(const Plan& plan) {
  const std::string first = form_text(plan.phases.front().configuration.form),
                    last = form_text(plan.phases.back().configuration.form);
  return first == last ? first : fmt::format("{} forward, {} backward", first, last);
}

}  // namespace meshattn
