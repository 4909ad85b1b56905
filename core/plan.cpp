#include "core/plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "core/algorithms.h"
#include "core/algorithms/rings.h"
#include "core/error.h"
#include "core/estimate.h"
#include "core/passes/arena.h"
#include "core/passes/liveness.h"
#include "core/passes/prune.h"

namespace meshattn {

namespace {

/// Bytes of an average chunk of a tensor, its per-row statistics included.
double average_bytes(const Problem& p, Tensor tensor, Dtype dtype) {
  const AttentionShape& s = p.shape;
  const bool kv = on_kv_side(tensor);
  const double rows = static_cast<double>(kv ? s.seq_kv : s.seq_q) / p.ranks * s.batch * (kv ? s.kv_heads : s.heads);
  if (tensor == Tensor::kDelta) return 8 * rows;
  return rows * ((kv ? 2.0 : 1.0) * s.head_dim * size_of(dtype) + (tensor == Tensor::kO ? 4 : 0));
}

/// Seconds until the slowest of all ranks' sends of `bytes` to their successors has come, all at the same time.
double hop_s(const Network& network, const Rings& rings, int ranks, double bytes) {
  if (rings.hops() == 0) return 0;
  std::vector<double> load(network.links().size());
  for (Rank r = 0; r < ranks; ++r)
    for (LinkId link : network.route(r, rings.next(r))) load[link] += bytes;
  double slowest = 0;
  for (Rank r = 0; r < ranks; ++r) {
    const Route route = network.route(r, rings.next(r));
    double seconds = 0;
    for (LinkId link : route.span()) seconds = std::max(seconds, load[link] / network.links()[link].bytes_per_s);
    slowest = std::max(slowest, route.startup_s + seconds);
  }
  return slowest;
}

}  // namespace

TileCosts tile_costs(const PlanRequest& request, const Network& network, const CostModel& cost) {
  const Problem& p = request.problem;
  const Dtype dtype = p.shape.dtype;
  const Rings rows = Rings::of_rows(request.tile), columns = Rings::of_columns(request.tile, p);
  const bool backward = p.pass == Pass::kBackward;
  double row_in = average_bytes(p, Tensor::kQ, dtype);
  if (backward) row_in += average_bytes(p, Tensor::kDO, dtype) + average_bytes(p, Tensor::kDelta, dtype);
  TileCosts costs;
  costs.row_in = hop_s(network, rows, p.ranks, row_in);
  costs.column_in = hop_s(network, columns, p.ranks, average_bytes(p, Tensor::kKV, dtype));
  costs.row_out = hop_s(network, rows, p.ranks, average_bytes(p, backward ? Tensor::kDQ : Tensor::kO, request.wire));
  if (backward) costs.column_out = hop_s(network, columns, p.ranks, average_bytes(p, Tensor::kDKV, request.wire));
  const double n = p.ranks;
  costs.block = cost.attention_s(total_pairs(p) / (n * n), static_cast<double>(p.shape.seq_q) / n,
                                 static_cast<double>(p.shape.seq_kv) / n,
                                 n > 1 || p.mask.is_full() ? KernelMask::kFull : KernelMask::kCausal);
  return costs;
}

TileBytes tile_bytes(const PlanRequest& request) {
  const Problem& p = request.problem;
  const Dtype dtype = p.shape.dtype;
  const bool backward = p.pass == Pass::kBackward;
  const auto bytes = [&](Tensor tensor, Dtype type) {
    return Arena::aligned(static_cast<std::uint64_t>(average_bytes(p, tensor, type)));
  };
  TileBytes b;
  const Tensor row_sum = backward ? Tensor::kDQ : Tensor::kO;
  b.row_in = bytes(Tensor::kQ, dtype);
  b.column_in = bytes(Tensor::kKV, dtype);
  b.resident = b.row_in + b.column_in + bytes(row_sum, dtype);
  b.row_sum = bytes(row_sum, Dtype::kFp32);
  b.row_out = bytes(row_sum, request.wire);
  if (backward) {
    b.row_in += bytes(Tensor::kDO, dtype) + bytes(Tensor::kDelta, Dtype::kFp32);
    b.resident += bytes(Tensor::kDO, dtype) + bytes(Tensor::kO, dtype) + bytes(Tensor::kDelta, Dtype::kFp32) +
                  bytes(Tensor::kDKV, dtype);
    b.column_sum = bytes(Tensor::kDKV, Dtype::kFp32);
    b.column_out = bytes(Tensor::kDKV, request.wire);
  }
  return b;
}

namespace {

/// Rings and tiles of up to so many exchanges are planned: ring 4,096, or 16,384 ranks with 1,024 each.
constexpr double kMostExchanges = 0x1p24;
/// Memory per exchange of a whole `simulate`, measured on rings of 256 and 1,024.
constexpr double kBytesPerExchange = 200;

void check_size(const PlanRequest& request) {
  const int ways = request.problem.pass == Pass::kForward ? 1 : 2;
  const double hops = 2.0 * (request.tile.rows - 1) + 1.0 * ways * (request.tile.columns - 1);
  const double exchanges = hops * request.problem.ranks;
  if (exchanges > kMostExchanges)
    throw InvalidInput(
        fmt::format("tile {}x{} takes {:.0f} exchanges on each of {} ranks, about {:.0f} GB to plan and simulate: at "
                    "most {:.0f} on "
                    "so many ranks; a squarer tile takes fewer",
                    request.tile.rows, request.tile.columns, hops, request.problem.ranks,
                    exchanges * kBytesPerExchange / 1e9, kMostExchanges / request.problem.ranks));
}

/// Makes schedules of a request and keeps the best.
class Planner {
 public:
  Planner(const PlanRequest& request, const Network& network, const CostModel& cost)
      : request_(request), cost_(cost), hops_(tile_costs(request, network, cost)), bytes_(tile_bytes(request)) {}

  /// Tries an order and, until `enough` of its plans fit, leaner and leaner ones.
  void try_order(Order order, int enough);
  [[nodiscard]] Plan best();

 private:
  [[nodiscard]] Plan build(TilePlan tile_plan) const;
  void offer(Plan plan);

  const PlanRequest& request_;
  const CostModel& cost_;
  TileCosts hops_;
  TileBytes bytes_;
  struct Tried {
    std::vector<TileStep> steps;
    bool fits;
  };
  std::vector<Tried> tried_;
  std::size_t ops_built_ = 0;
  std::optional<Plan> best_;
  std::optional<Plan> leanest_;  ///< of those that did not fit
};

Plan Planner::build(TilePlan tile_plan) const {
  Plan plan{std::move(tile_plan), {}, 0};
  plan.schedule = prune(mesh(request_.problem, plan.tile_plan, request_.wire));
  const Trace planned = estimate(plan.schedule, hops_, cost_);
  assign_memory(plan.schedule, planned);
  if (const std::uint64_t peak = plan.schedule.peak_bytes; peak > request_.memory_limit) {
    assign_memory(plan.schedule);
    if (plan.schedule.peak_bytes > peak) assign_memory(plan.schedule, planned);  // it left more gaps
  }
  plan.estimate_s = estimate(plan.schedule, hops_, cost_).makespan_s;
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
  constexpr std::size_t kMostOps = 4'000'000;  // built for the sake of choice: a few seconds
  // What the order counts as live is that of a dense tile without gaps: only a schedule tells whether it fits. Plans
  // come in the same sequence whatever the request's limit is, so what fits one limit is found under any higher one.
  std::uint64_t limit = UINT64_MAX;
  try {
    for (int fitting = 0; fitting < enough && !(best_ && ops_built_ > kMostOps);) {
      TilePlan tile_plan = plan_tile(request_.tile, request_.problem.pass, order, hops_, bytes_, limit);
      limit = tile_plan.peak_bytes - 1;
      auto known = std::ranges::find(tried_, tile_plan.steps, &Tried::steps);
      if (known == tried_.end()) {
        Plan plan = build(std::move(tile_plan));
        ops_built_ += plan.schedule.ops.size();
        tried_.push_back({plan.tile_plan.steps, plan.schedule.peak_bytes <= request_.memory_limit});
        known = std::prev(tried_.end());
        offer(std::move(plan));
      }
      fitting += known->fits;
    }
  } catch (const MemoryLimitTooLow&) {  // there is no leaner plan of this order
  }
}

Plan Planner::best() {
  if (best_) return std::move(*best_);
  throw MemoryLimitTooLow(request_.tile, request_.memory_limit, leanest_->schedule.peak_bytes);
}

}  // namespace

Plan make_plan(const PlanRequest& request, const Network& network, const CostModel& cost) {
  check(request.problem);
  check_size(request);
  Planner planner(request, network, cost);
  if (request.order)
    planner.try_order(*request.order, 1);
  else
    for (Order order : {Order::kOptimal, Order::kGreedy, Order::kNaive}) planner.try_order(order, 3);
  return planner.best();
}

}  // namespace meshattn
