#include "core/estimate.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/passes/dependencies.h"

namespace meshattn {

namespace {

constexpr double kNotYet = -1;

/// Transfers wave after wave: those of wave w are transfers[first[w]] … transfers[first[w + 1] − 1].
struct Waves {
  std::vector<TransferId> transfers;
  std::vector<std::uint32_t> first;
};

std::vector<Lane> lanes_of(const Schedule& s) {
  std::vector<Lane> lanes;
  lanes.reserve(s.ops.size());
  for (const Op& op : s.ops) lanes.push_back(s.lane(op));
  return lanes;
}

Waves waves_of(const Schedule& s, const std::vector<Lane>& lane_of) {
  std::vector<std::uint32_t> wave(s.transfers.size()), exchanges(static_cast<std::size_t>(s.lanes()));
  Waves waves{std::vector<TransferId>(s.transfers.size()), {0, 0}};
  std::vector<std::uint32_t>& first = waves.first;
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::ranges::fill(exchanges, 0);
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      const auto* exchange = std::get_if<Exchange>(&s.ops[op]);
      if (exchange == nullptr) continue;
      const std::uint32_t k = exchanges[lane_of[op]]++;
      for (TransferId t : s.transfers_of(*exchange))
        if (s.values[s.transfers[t].source].rank == rank) wave[t] = k;
    }
  }
  for (std::uint32_t k : wave) {
    if (first.size() < k + 2) first.resize(k + 2);
    ++first[k + 1];
  }
  std::partial_sum(first.begin(), first.end(), first.begin());
  std::vector<std::uint32_t> next = first;
  for (TransferId t = 0; t < s.transfers.size(); ++t) waves.transfers[next[wave[t]]++] = t;
  return waves;
}

/// Seconds of every transfer, from the start of the later of its exchanges.
std::vector<double> transfer_seconds(const Schedule& s, const std::vector<Lane>& lane_of, const Network& network) {
  const Waves waves = waves_of(s, lane_of);
  std::vector<double> seconds(s.transfers.size()), busy_s(network.links().size());
  std::vector<Route> routes;
  for (std::size_t w = 0; w + 1 < waves.first.size(); ++w) {
    const auto wave = std::span(waves.transfers).subspan(waves.first[w], waves.first[w + 1] - waves.first[w]);
    routes.clear();
    for (TransferId t : wave) {
      const auto bytes = static_cast<double>(s.bytes(s.transfers[t].made));
      routes.push_back(network.route(s.values[s.transfers[t].source].rank, s.values[s.transfers[t].made].rank));
      for (LinkId link : routes.back().span()) busy_s[link] += bytes / network.links()[link].bytes_per_s;
    }
    for (std::size_t i = 0; i < wave.size(); ++i) {
      double& of_transfer = seconds[wave[i]];
      for (LinkId link : routes[i].span()) of_transfer = std::max(of_transfer, busy_s[link]);
      of_transfer += routes[i].startup_s;
    }
    for (const Route& route : routes)
      for (LinkId link : route.span()) busy_s[link] = 0;
  }
  return seconds;
}

/// Goes through each rank's list as far as is known when its ops start.
class Evaluation {
 public:
  Evaluation(const Schedule& schedule, const Network& network, const CostModel& cost)
      : s_(schedule),
        lane_of_(lanes_of(schedule)),
        dependencies_(schedule),
        compute_s_(cost.seconds(schedule)),
        transfer_s_(transfer_seconds(schedule, lane_of_, network)),
        posted_s_(schedule.transfers.size(), kNotYet),
        next_(schedule.first_op),
        lane_count_(static_cast<std::size_t>(schedule.lanes())),
        lanes_(static_cast<std::size_t>(schedule.problem.ranks) * lane_count_),
        trace_{std::vector<double>(schedule.ops.size()), std::vector<double>(schedule.ops.size(), kNotYet), 0} {}

  Trace run();

 private:
  /// The last op of a lane so far. Its end is known when no transfer is outstanding.
  struct Latest {
    OpId op = kNone;
    std::uint32_t outstanding = 0;
    double end_s = 0;
  };

  [[nodiscard]] Latest& at(Rank rank, Lane lane) { return lanes_[static_cast<std::size_t>(rank) * lane_count_ + lane]; }
  void advance(Rank rank);
  [[nodiscard]] double start_of(Rank rank, OpId op);
  void begin(Rank rank, OpId op, const Exchange& exchange, double start_s);
  void end_transfer(TransferId t, double end_s);
  void check_finished();

  const Schedule& s_;
  std::vector<Lane> lane_of_;  ///< by op
  Dependencies dependencies_;
  std::vector<double> compute_s_;   ///< by op
  std::vector<double> transfer_s_;  ///< by transfer
  std::vector<double> posted_s_;    ///< by transfer: when the first of its exchanges started
  std::vector<OpId> next_;          ///< by rank
  std::size_t lane_count_;
  std::vector<Latest> lanes_;  ///< by rank, then lane
  std::vector<Rank> woken_;    ///< ranks of which another op's end has become known
  Trace trace_;
};

/// When the next op of a rank starts; kNotYet if that is not known yet.
double Evaluation::start_of(Rank rank, OpId op) {
  const Latest& lane = at(rank, lane_of_[op]);
  if (lane.outstanding > 0) return kNotYet;
  double start_s = lane.end_s;
  for (OpId before : dependencies_.of(op)) {
    if (trace_.end_s[before] == kNotYet) return kNotYet;
    start_s = std::max(start_s, trace_.end_s[before]);
  }
  const auto* exchange = std::get_if<Exchange>(&s_.ops[op]);
  if (exchange == nullptr) return start_s;
  const auto partial = [&](TransferId t) { return is_partial(s_.values[s_.transfers[t].made].tensor); };
  return std::ranges::any_of(s_.transfers_of(*exchange), partial) ? start_s
                                                                  : std::max(start_s, at(rank, kComputeLane).end_s);
}

void Evaluation::advance(Rank rank) {
  for (OpId& op = next_[static_cast<std::size_t>(rank)]; op < s_.ops_end(rank); ++op) {
    const double start_s = start_of(rank, op);
    if (start_s == kNotYet) return;
    trace_.start_s[op] = start_s;
    const auto* exchange = std::get_if<Exchange>(&s_.ops[op]);
    if (exchange != nullptr && exchange->count > 0)
      begin(rank, op, *exchange, start_s);
    else
      at(rank, kComputeLane).end_s = trace_.end_s[op] = start_s + compute_s_[op];
  }
}

void Evaluation::begin(Rank rank, OpId op, const Exchange& exchange, double start_s) {
  at(rank, lane_of_[op]) = {op, exchange.count, start_s};
  for (TransferId t : s_.transfers_of(exchange))
    if (posted_s_[t] == kNotYet)
      posted_s_[t] = start_s;
    else
      end_transfer(t, std::max(posted_s_[t], start_s) + transfer_s_[t]);
}

void Evaluation::end_transfer(TransferId t, double end_s) {
  const Transfer& transfer = s_.transfers[t];
  for (ValueId value : {transfer.source, transfer.made}) {
    const Rank rank = s_.values[value].rank;
    Latest& lane = at(rank, transfer.lane);
    lane.end_s = std::max(lane.end_s, end_s);
    if (--lane.outstanding > 0) continue;
    trace_.end_s[lane.op] = lane.end_s;
    woken_.push_back(rank);
  }
}

void Evaluation::check_finished() {
  for (Rank rank = 0; rank < s_.problem.ranks; ++rank) {
    const OpId next = next_[static_cast<std::size_t>(rank)];
    for (std::size_t lane = 0; lane < lane_count_; ++lane)
      if (const Latest& latest = at(rank, static_cast<Lane>(lane)); latest.outstanding > 0)
        throw InvalidSchedule(
            fmt::format("deadlock: rank {} waits in op {} for {} transfers whose other ends never come", rank,
                        latest.op, latest.outstanding));
    if (next < s_.ops_end(rank)) throw InvalidSchedule(fmt::format("deadlock: rank {} waits before op {}", rank, next));
  }
}

Trace Evaluation::run() {
  std::vector<Rank> round(static_cast<std::size_t>(s_.problem.ranks));
  std::iota(round.begin(), round.end(), 0);
  while (!round.empty()) {
    for (Rank rank : round) advance(rank);
    round.clear();
    round.swap(woken_);
  }
  check_finished();
  for (double end_s : trace_.end_s) trace_.makespan_s = std::max(trace_.makespan_s, end_s);
  return std::move(trace_);
}

}  // namespace

Trace estimate(const Schedule& schedule, const Network& network, const CostModel& cost) {
  return Evaluation(schedule, network, cost).run();
}

}  // namespace meshattn
