#include "core/planner/plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "core/algorithms/mesh.h"
#include "core/algorithms/others.h"
#include "core/base/error.h"
#include "core/execution/estimate.h"
#include "core/planner/tile_costs.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"

namespace meshattn {

namespace {

/// Rings and tiles of up to so many transfers are planned: ring 4,096, or 16,384 ranks with 1,024 to each.
constexpr double kMostTransfers = 0x1p24;
/// Memory per transfer of a whole `simulate`, measured on rings of 256 and 1,024.
constexpr double kBytesPerTransfer = 200;

void check_size(const PlanRequest& request) {
  const bool backward = request.problem.pass == Pass::kBackward;
  const MeshForm& form = request.method.form;
  const double u = form.ulysses;
  // A hop brings what each rank of a place has of a tensor, Q (backward Q, dO, delta) or KV, and one partial result.
  const double of_slice =
      (form.tile.rows - 1) * ((backward ? 3 : 1) * u + 1) + (form.tile.columns - 1) * (u + (backward ? 1 : 0));
  // All-to-all: Q and KV in and O of each slice out, or dO in, dQ and dKV out.
  const double hops = form.slices * of_slice + (u - 1) * (backward ? 1.0 + 2 * form.slices : 2.0 + form.slices);
  const double transfers = hops * request.problem.ranks;
  if (transfers > kMostTransfers)
    throw InvalidInput(
        fmt::format("{} {} takes {:.0f} transfers to each of {} ranks, about {:.0f} GB to plan and simulate: at most "
                    "{:.0f} to so many ranks; a squarer tile takes fewer",
                    request.method.algorithm, text_of(form), hops, request.problem.ranks,
                    transfers * kBytesPerTransfer / 1e9, kMostTransfers / request.problem.ranks));
}

/// Makes schedules of a request and keeps the best.
class Planner {
 public:
  Planner(const PlanRequest& request, const Network& network, const CostModel& cost)
      : request_(request),
        network_(network),
        cost_(cost),
        hops_(tile_costs(request, network, cost)),
        bytes_(tile_bytes(request)) {}

  /// Tries an order and, until `enough` of its plans fit, leaner and leaner ones; `topology` with and without the load
  /// that its two lanes share, for neither is always nearer the truth.
  void try_order(Order order, int enough);
  /// Tries orders for hops that cost more or less than they are priced at, all of them or those of one side: no price
  /// is that of every hop. So small schedules are found that are up to a fifth faster; large ones take too long.
  void try_other_prices();
  /// Tries the steps that the method fixes.
  void try_fixed();
  [[nodiscard]] Plan best();

 private:
  [[nodiscard]] Plan build(OrderedTile tile_plan, bool two_lanes) const;
  void try_order(Order order, const TileCosts& costs, int enough);
  void offer(Plan plan);

  const PlanRequest& request_;
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
  std::optional<Plan> best_;
  std::optional<Plan> leanest_;  ///< of those that did not fit
};

Schedule generate(const PlanRequest& request, const Network& network, std::span<const TileStep> steps, bool two_lanes) {
  switch (request.method.generator) {
    case Generator::kLightSeq:
      return light_seq(request.problem, request.wire);
    case Generator::kStarTrail:
      return star_trail(request.problem, request.method.form.tile.rows, request.wire);
    case Generator::kTasp:
      return tasp(request.problem);
    case Generator::kMesh:
      break;
  }
  MeshForm form = entered(request.method.form, network);
  form.two_lanes = two_lanes;
  return mesh(request.problem, form, steps, request.wire);
}

Plan Planner::build(OrderedTile tile_plan, bool two_lanes) const {
  Plan plan{std::move(tile_plan), {}, 0};
  plan.schedule = prune(generate(request_, network_, plan.tile_plan.steps, two_lanes));
  const OpTimes times = cost_.times(plan.schedule);
  const Trace planned = estimate(plan.schedule, network_, times, Receive::kAsListed);
  assign_memory(plan.schedule, planned);
  if (const std::uint64_t peak = plan.schedule.peak_bytes; peak > request_.memory_limit) {
    assign_memory(plan.schedule);
    if (plan.schedule.peak_bytes > peak) assign_memory(plan.schedule, planned);  // it left more gaps
  }
  plan.estimate_s = estimate(plan.schedule, network_, times).makespan_s;
  return plan;
}

void Planner::offer(Plan plan) {
  if (plan.schedule.peak_bytes > request_.memory_limit) {
    if (!leanest_ || plan.schedule.peak_bytes < leanest_->schedule.peak_bytes) leanest_ = std::move(plan);
    return;
  }
  constexpr double kEqual = 1e-6;  // relative
  const double faster = best_ ? best_->estimate_s - plan.estimate_s : 0;
  const double equal = best_ ? kEqual * best_->estimate_s : 0;
  const bool leaner = best_ && plan.schedule.peak_bytes < best_->schedule.peak_bytes;
  if (!best_ || faster > equal || (faster >= -equal && leaner)) best_ = std::move(plan);
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
        order_tile_within(request_.method.form.tile, request_.problem.pass, order, costs, bytes_, limit);
    if (!steps) return;  // there is no leaner plan of this order
    limit = steps->peak_bytes - 1;
    const auto is_known = [&](const Tried& t) { return t.two_lanes == two_lanes && t.steps == steps->steps; };
    auto known = std::ranges::find_if(tried_, is_known);
    if (known == tried_.end()) {
      Plan plan = build(std::move(*steps), two_lanes);
      ops_built_ += plan.schedule.ops.size();
      tried_.push_back({plan.tile_plan.steps, two_lanes, plan.schedule.peak_bytes <= request_.memory_limit});
      known = std::prev(tried_.end());
      offer(std::move(plan));
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
  const MeshForm& form = request_.method.form;
  OrderedTile steps{form.tile, request_.problem.pass, {}};
  if (request_.method.generator == Generator::kMesh) steps.steps = fixed_steps(form, request_.problem.pass);
  offer(build(std::move(steps), false));
}

Plan Planner::best() {
  if (best_) return std::move(*best_);
  throw MemoryLimitTooLow(text_of(request_.method.form), request_.memory_limit, leanest_->schedule.peak_bytes);
}

}  // namespace

MemoryLimitTooLow::MemoryLimitTooLow(const std::string& form, std::uint64_t limit, std::uint64_t least)
    : InvalidInput(fmt::format("no known order of tile {} keeps to {} bytes: the least possible is {} bytes", form,
                               limit, least)),
      least_(least) {}

Plan make_plan(const PlanRequest& request, const Network& network, const CostModel& cost) {
  check(request.problem);
  if (request.method.generator == Generator::kMesh) check(entered(request.method.form, network), request.problem);
  check_size(request);
  Planner planner(request, network, cost);
  const std::optional<Order> only = request.method.order ? request.method.order : request.order;
  const bool fixed = request.method.generator != Generator::kMesh || request.method.form.steps != Steps::kPlanned;
  if (request.order && (fixed || request.order != only))
    throw InvalidInput(fmt::format("{} has an order of its own: it takes no --order", request.method.algorithm));
  if (fixed) {
    planner.try_fixed();
  } else if (only) {
    planner.try_order(*only, 1);
  } else {
    for (Order order : {Order::kOptimal, Order::kGreedy, Order::kNaive}) planner.try_order(order, 3);
    const Tile tile = request.method.form.tile;
    if (tile.rows > 1 && tile.columns > 1) planner.try_order(Order::kTopology, 1);
    if (request.method.form.slices == 1) planner.try_other_prices();  // of others the estimate is less exact
  }
  return planner.best();
}

}  // namespace meshattn
