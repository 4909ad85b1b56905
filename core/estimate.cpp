#include "core/estimate.h"

#include <algorithm>
#include <vector>

#include "core/passes/dependencies.h"

namespace meshattn {

namespace {

double price_of(const TileCosts& hops, Tensor tensor) {
  switch (tensor) {
    case Tensor::kKV:
      return hops.column_in;
    case Tensor::kDKV:
      return hops.column_out;
    case Tensor::kO:
    case Tensor::kDQ:
      return hops.row_out;
    case Tensor::kQ:
    case Tensor::kDO:
    case Tensor::kDelta:
      return hops.row_in;
  }
  return 0;
}

}  // namespace

Trace estimate(const Schedule& s, const TileCosts& hops, const CostModel& cost) {
  const Dependencies dependencies(s);
  const std::vector<double> compute_s = cost.seconds(s);
  Trace trace{std::vector<double>(s.ops.size()), std::vector<double>(s.ops.size()), 0};
  std::vector<double> lane_end(static_cast<std::size_t>(s.lanes()));
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::ranges::fill(lane_end, 0.0);
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      double& lane = lane_end[s.lane(s.ops[op])];
      double start = lane, seconds = compute_s[op];
      for (OpId before : dependencies.of(op)) start = std::max(start, trace.end_s[before]);
      if (const auto* exchange = std::get_if<Exchange>(&s.ops[op])) {
        const Tensor tensor = s.values[s.transfers[s.transfers_of(*exchange).front()].made].tensor;
        seconds = price_of(hops, tensor);
        if (!is_partial(tensor)) start = std::max(start, lane_end[kComputeLane]);
      }
      trace.start_s[op] = start;
      lane = trace.end_s[op] = start + seconds;
      trace.makespan_s = std::max(trace.makespan_s, lane);
    }
  }
  return trace;
}

}  // namespace meshattn
