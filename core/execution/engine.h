#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/network.h"
#include "core/execution/clock.h"
#include "core/execution/compute_contention.h"
#include "core/execution/event.h"
#include "core/execution/op_times.h"
#include "core/schedule/dependencies.h"
#include "core/schedule/schedule.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// When an exchange may start that receives no partial results.
enum class Receive : std::uint8_t {
  kEarly,     ///< as on devices: as soon as its lane is free, its operands exist and its reuse waits have ended
  kAsListed,  ///< only after the compute ops listed before it too, whose memory it may take
};

/// Position of a lane in its rank's list of ops.
struct LanePosition {
  OpId op = 0;                    ///< running or next
  std::uint32_t outstanding = 0;  ///< transfers of the running exchange that have not ended
  bool running = false;
};

/// The ops at which the first unfinished ranks wait; empty if all ranks finished. `positions` by rank, then lane.
[[nodiscard]] std::string deadlock_text(const Schedule& schedule, std::span<const LanePosition> positions,
                                        double now_s);

/// Steps a schedule through time, with any clock. The rules:
///
/// * A lane runs its ops in listed order. An op also waits for the ops that it depends on (`Dependencies`).
/// * A transfer starts when both of its exchanges have started. Its start-up passes, then its bytes flow.
/// * An exchange ends with its last transfer.
/// * A rank computes one op at a time, at the speed that `ComputeContention` finds.
/// * An op starts only once its host begins to issue it, and a compute op ends only after its host has issued all of it
///   (`OpTimes::issued_s`). Until then the rank counts as computing.
/// * Where exchanges wait for kernels (`OpTimes::last_wave_s`), an exchange waits for all compute ops listed before it,
///   and for the last wave of a kernel that runs then or starts at that moment.
template <Clock C>
class Engine {
 public:
  /// `times` as a CostModel gives them. All arguments must outlive the engine.
  Engine(const Schedule& schedule, const Network& network, const OpTimes& times, Receive receive, C& clock);

  /// To be called once. @returns the times of all ops; after a deadlock, of those that ran.
  [[nodiscard]] Trace run();

  /// After a run: the deadlock that ended it, in words; empty if all ops ran.
  [[nodiscard]] std::string deadlock() const { return deadlock_text(schedule_, positions_, clock_.now()); }

 private:
  static constexpr double kNotYet = -1;

  [[nodiscard]] std::size_t index(Rank rank, Lane lane) const {
    return static_cast<std::size_t>(rank) * static_cast<std::size_t>(lanes_) + lane;
  }
  [[nodiscard]] bool may_start(Rank rank, OpId op) const;
  [[nodiscard]] bool receives_partials(const Exchange& exchange) const;
  void seek(Rank rank, Lane lane, OpId from);
  void advance(Rank rank);
  bool start(Rank rank, Lane lane);
  void start_transfer(TransferId t);
  void send(TransferId t);
  void end_transfer(TransferId t);
  void finish(Rank rank, Lane lane);
  void end_op(Rank rank, Lane lane);
  void handle(Event event);

  const Schedule& schedule_;
  const Network& network_;
  C& clock_;
  Receive receive_;
  Dependencies dependencies_;
  const OpTimes& times_;
  ComputeContention<C> contention_;
  int lanes_;
  std::vector<Lane> lane_of_;            ///< by op
  std::vector<std::uint8_t> posted_;     ///< by transfer: how many of its two exchanges have started
  std::vector<LanePosition> positions_;  ///< by rank, then lane
  Trace trace_;
};

template <Clock C>
Engine<C>::Engine(const Schedule& schedule, const Network& network, const OpTimes& times, Receive receive, C& clock)
    : schedule_(schedule),
      network_(network),
      clock_(clock),
      receive_(receive),
      dependencies_(schedule),
      times_(times),
      contention_(schedule, network, times, clock),
      lanes_(schedule.lanes()),
      posted_(schedule.transfers.size()),
      positions_(static_cast<std::size_t>(schedule.problem.ranks) * static_cast<std::size_t>(lanes_)),
      trace_{std::vector<double>(schedule.ops.size(), kNotYet), std::vector<double>(schedule.ops.size(), kNotYet), 0} {
  lane_of_.reserve(schedule.ops.size());
  for (const Op& op : schedule.ops) lane_of_.push_back(schedule.lane(op));
}

template <Clock C>
bool Engine<C>::receives_partials(const Exchange& exchange) const {
  return std::ranges::any_of(schedule_.transfers_of(exchange), [&](TransferId t) {
    return is_partial(schedule_.values[schedule_.transfers[t].made].tensor);
  });
}

template <Clock C>
bool Engine<C>::may_start(Rank rank, OpId op) const {
  if (!times_.issued_s.empty() && !is_due(clock_, times_.issued_s[op])) return false;
  for (OpId before : dependencies_.of(op))
    if (trace_.end_s[before] == kNotYet) return false;
  const auto* exchange = std::get_if<Exchange>(&schedule_.ops[op]);
  if (exchange == nullptr) return true;
  const bool is_next = positions_[index(rank, kComputeLane)].op > op;  // all compute ops listed before have ended
  if (times_.exchanges_wait_for_kernels()) return is_next && contention_.has_begun_last_wave(rank);
  return receive_ == Receive::kEarly || is_next || receives_partials(*exchange);
}

/// Moves a lane to its first op from `from` on.
template <Clock C>
void Engine<C>::seek(Rank rank, Lane lane, OpId from) {
  const OpId end = schedule_.ops_end(rank);
  while (from < end && lane_of_[from] != lane) ++from;
  positions_[index(rank, lane)] = {from, 0, false};
  if (times_.issued_s.empty() || from == end || is_due(clock_, times_.issued_s[from])) return;
  clock_.after(times_.issued_s[from] - clock_.now(), {Event::Kind::kMayStart, static_cast<std::uint32_t>(rank)});
}

/// Starts all ops of a rank that can start, compute before exchanges.
template <Clock C>
void Engine<C>::advance(Rank rank) {
  for (int lane = 0; lane < lanes_;) {
    const LanePosition& p = positions_[index(rank, static_cast<Lane>(lane))];
    const bool starts = !p.running && p.op != schedule_.ops_end(rank) && may_start(rank, p.op);
    lane = starts && start(rank, static_cast<Lane>(lane))
               ? 0
               : lane + 1;  // an earlier lane may wait for an op that ended at once
  }
}

/// @returns whether the op ended at once.
template <Clock C>
bool Engine<C>::start(Rank rank, Lane lane) {
  LanePosition& p = positions_[index(rank, lane)];
  p.running = true;
  trace_.start_s[p.op] = clock_.now();
  const auto* exchange = std::get_if<Exchange>(&schedule_.ops[p.op]);
  if (exchange != nullptr && exchange->count > 0) {
    p.outstanding = exchange->count;
    contention_.begin_transfers(rank, schedule_.transfers_of(*exchange));
    for (TransferId t : schedule_.transfers_of(*exchange))
      if (++posted_[t] == 2) start_transfer(t);
    return false;
  }
  if (lane == kComputeLane && (times_.seconds[p.op] > 0 || !is_due(clock_, times_.earliest_end_s(p.op)))) {
    contention_.begin_compute(rank, p.op);
    return false;
  }
  finish(rank, lane);
  return true;
}

/// Both exchanges of a transfer have started: its start-up passes.
template <Clock C>
void Engine<C>::start_transfer(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  const Route route = network_.route(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank);
  const auto bytes = static_cast<double>(schedule_.bytes(transfer.made));
  clock_.after(network_.startup_s(route, bytes), {Event::Kind::kStartupEnded, t});
}

template <Clock C>
void Engine<C>::send(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  const auto bytes = static_cast<double>(schedule_.bytes(transfer.made));
  if (bytes == 0) return end_transfer(t);
  contention_.begin_flow(t);
  clock_.send(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank, bytes,
              {Event::Kind::kArrived, t});
}

template <Clock C>
void Engine<C>::end_transfer(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  for (ValueId end : {transfer.source, transfer.made}) {
    const Rank rank = schedule_.values[end].rank;
    contention_.end_transfer(rank, t);
    if (--positions_[index(rank, transfer.lane)].outstanding == 0) end_op(rank, transfer.lane);
  }
}

template <Clock C>
void Engine<C>::finish(Rank rank, Lane lane) {
  const OpId op = positions_[index(rank, lane)].op;
  trace_.end_s[op] = clock_.now();
  seek(rank, lane, op + 1);
}

template <Clock C>
void Engine<C>::end_op(Rank rank, Lane lane) {
  finish(rank, lane);
  if (!times_.exchanges_wait_for_kernels()) return advance(rank);
  clock_.after(0, {Event::Kind::kMayStart, static_cast<std::uint32_t>(rank)});  // after all that arrives at this moment
}

template <Clock C>
void Engine<C>::handle(Event event) {
  switch (event.kind) {
    case Event::Kind::kComputeEnded:
      if (!contention_.end_compute(static_cast<Rank>(event.id))) return;
      finish(static_cast<Rank>(event.id), kComputeLane);
      return advance(static_cast<Rank>(event.id));
    case Event::Kind::kMayStart:
      return advance(static_cast<Rank>(event.id));
    case Event::Kind::kStartupEnded:
      return send(event.id);
    case Event::Kind::kArrived:
      contention_.end_flow(event.id);
      return end_transfer(event.id);
  }
}

template <Clock C>
Trace Engine<C>::run() {
  for (Rank rank = 0; rank < schedule_.problem.ranks; ++rank)
    for (int lane = 0; lane < lanes_; ++lane) seek(rank, static_cast<Lane>(lane), schedule_.ops_begin(rank));
  for (Rank rank = 0; rank < schedule_.problem.ranks; ++rank) advance(rank);
  clock_.run([this](Event event) { handle(event); });
  for (double end_s : trace_.end_s) trace_.makespan_s = std::max(trace_.makespan_s, end_s);
  return std::move(trace_);
}

}  // namespace meshattn
