#include "sim/simulator.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/passes/dependencies.h"
#include "sim/platform.h"

namespace meshattn::sim {

namespace {

constexpr double kNotYet = -1;

/// Steps through a schedule: every lane of a rank runs its ops in order, as design and IR say.
class Simulator {
 public:
  Simulator(const Schedule& schedule, const Network& network, const CostModel& cost);

  Trace run();

 private:
  /// Where a lane is in the list of its rank's ops.
  struct Progress {
    OpId op = 0;                    ///< running or next
    std::uint32_t outstanding = 0;  ///< transfers of the exchange that is running
    bool running = false;
  };

  [[nodiscard]] Progress& at(Rank rank, Lane lane) {
    return progress_[static_cast<std::size_t>(rank) * static_cast<std::size_t>(lanes_) + lane];
  }
  /// The next whole picosecond: SimGrid's sums of intervals are off by far less (0.01 is more than that), and 8 times
  /// 1 ms shall be 8 ms.
  [[nodiscard]] double now() const { return std::ceil(platform_.now() * 1e12 - 0.01) / 1e12; }
  [[nodiscard]] bool may_start(OpId op) const;
  void seek(Rank rank, Lane lane, OpId from);
  void advance(Rank rank);
  void start(Rank rank, Lane lane);
  void start_exchange(Rank rank, Progress& lane, const Exchange& exchange);
  void start_transfer(TransferId t);
  void send(TransferId t);
  void end_transfer(TransferId t);
  void leave(Rank rank, Lane lane);
  void end_op(Rank rank, Lane lane);
  [[nodiscard]] std::string stuck();

  const Schedule& schedule_;
  const Network& network_;
  Dependencies dependencies_;
  std::vector<double> compute_s_;  ///< by op
  int lanes_;
  std::vector<Lane> lane_of_;         ///< by op
  std::vector<std::uint8_t> posted_;  ///< by transfer: how many of its two exchanges have started
  std::vector<Progress> progress_;    ///< by rank, then lane
  Trace trace_;
  Platform platform_;
};

Simulator::Simulator(const Schedule& schedule, const Network& network, const CostModel& cost)
    : schedule_(schedule),
      network_(network),
      dependencies_(schedule),
      compute_s_(cost.seconds(schedule)),
      lanes_(schedule.lanes()),
      posted_(schedule.transfers.size()),
      progress_(static_cast<std::size_t>(schedule.problem.ranks) * static_cast<std::size_t>(lanes_)),
      trace_{std::vector<double>(schedule.ops.size(), kNotYet), std::vector<double>(schedule.ops.size(), kNotYet), 0},
      platform_(network) {
  lane_of_.reserve(schedule.ops.size());
  for (const Op& op : schedule.ops) lane_of_.push_back(schedule.lane(op));
}

bool Simulator::may_start(OpId op) const {
  for (OpId before : dependencies_.of(op))
    if (trace_.end_s[before] == kNotYet) return false;
  return true;
}

/// Sets a lane to its first op from `from` on.
void Simulator::seek(Rank rank, Lane lane, OpId from) {
  const OpId end = schedule_.ops_end(rank);
  while (from < end && lane_of_[from] != lane) ++from;
  at(rank, lane) = {from, 0, false};
}

/// Starts what can start on a rank.
void Simulator::advance(Rank rank) {
  for (bool again = true; again;) {
    again = false;
    for (int lane = 0; lane < lanes_; ++lane) {
      const Progress& p = at(rank, static_cast<Lane>(lane));
      if (p.running || p.op == schedule_.ops_end(rank) || !may_start(p.op)) continue;
      start(rank, static_cast<Lane>(lane));
      again = true;
    }
  }
}

void Simulator::start(Rank rank, Lane lane) {
  Progress& p = at(rank, lane);
  p.running = true;
  trace_.start_s[p.op] = now();
  const Op& op = schedule_.ops[p.op];
  if (const auto* exchange = std::get_if<Exchange>(&op)) return start_exchange(rank, p, *exchange);
  const double seconds = compute_s_[p.op];
  if (seconds > 0)
    platform_.after(seconds, [this, rank, lane] { end_op(rank, lane); });
  else
    leave(rank, lane);
}

void Simulator::start_exchange(Rank rank, Progress& lane, const Exchange& exchange) {
  lane.outstanding = exchange.count;
  if (exchange.count == 0) return leave(rank, kComputeLane);
  for (TransferId t : schedule_.transfers_of(exchange))
    if (++posted_[t] == 2) start_transfer(t);
}

/// Both ends are there: the start-up passes, then the bytes flow.
void Simulator::start_transfer(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  const Route route = network_.route(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank);
  platform_.after(route.startup_s, [this, t] { send(t); });
}

void Simulator::send(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  const auto bytes = static_cast<double>(schedule_.bytes(transfer.made));
  if (bytes == 0) return end_transfer(t);
  platform_.send(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank, bytes, t);
}

void Simulator::end_transfer(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  for (ValueId end : {transfer.source, transfer.made}) {
    const Rank rank = schedule_.values[end].rank;
    if (--at(rank, transfer.lane).outstanding == 0) end_op(rank, transfer.lane);
  }
}

void Simulator::leave(Rank rank, Lane lane) {
  const OpId op = at(rank, lane).op;
  trace_.end_s[op] = now();
  seek(rank, lane, op + 1);
}

void Simulator::end_op(Rank rank, Lane lane) {
  leave(rank, lane);
  advance(rank);
}

/// What the first ranks that did not finish are waiting in.
std::string Simulator::stuck() {
  constexpr int kNamed = 4;
  int ranks = 0;
  std::string where;
  for (Rank rank = 0; rank < schedule_.problem.ranks; ++rank) {
    bool rank_stuck = false;
    for (int lane = 0; lane < lanes_; ++lane) {
      const Progress& p = at(rank, static_cast<Lane>(lane));
      if (p.op == schedule_.ops_end(rank)) continue;
      if (ranks < kNamed)
        where += fmt::format("{}rank {} lane {} {} op {}", where.empty() ? "" : ", ", rank, lane,
                             p.running ? "in" : "before", p.op);
      rank_stuck = true;
    }
    ranks += rank_stuck;
  }
  if (ranks == 0) return "";
  return fmt::format("deadlock after {:.9g} s: {} of {} ranks are stuck ({}{})", platform_.now(), ranks,
                     schedule_.problem.ranks, where, ranks > kNamed ? ", …" : "");
}

Trace Simulator::run() {
  for (Rank rank = 0; rank < schedule_.problem.ranks; ++rank)
    for (int lane = 0; lane < lanes_; ++lane) seek(rank, static_cast<Lane>(lane), schedule_.ops_begin(rank));
  for (Rank rank = 0; rank < schedule_.problem.ranks; ++rank) advance(rank);
  platform_.run([this](TransferId t) { end_transfer(t); });
  if (const std::string problem = stuck(); !problem.empty()) throw SimulationError(problem);
  for (double end : trace_.end_s) trace_.makespan_s = std::max(trace_.makespan_s, end);
  return std::move(trace_);
}

}  // namespace

Trace simulate(const Schedule& schedule, const Network& network, const CostModel& cost) {
  if (schedule.problem.ranks > network.gpus())
    throw SimulationError(
        fmt::format("{} ranks on {} GPUs: every rank needs one", schedule.problem.ranks, network.gpus()));
  return Simulator(schedule, network, cost).run();
}

}  // namespace meshattn::sim
