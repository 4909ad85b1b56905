#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/network.h"
#include "core/op_times.h"
#include "core/passes/dependencies.h"
#include "core/schedule.h"
#include "core/trace.h"

namespace meshattn {

/// What an Execution asks its clock to tell it in time.
struct Event {
  enum class Kind : std::uint8_t {
    kComputed,   ///< the op on a rank's compute lane has ended; id: the rank
    kPlaced,     ///< where exchanges are late: all tiles of its kernel are on SMs, or all that arrives at this moment
                 ///< has arrived; id: the rank
    kStartedUp,  ///< the start-up of a transfer has passed; id: the transfer
    kArrived,    ///< its last byte has; id: the transfer
  };
  Kind kind;
  std::uint32_t id;
};

/// When an exchange may start that brings no partial results.
enum class Receive : std::uint8_t {
  kEarly,     ///< as an executor does: as soon as its lane, what it reads and its reuse waits let it
  kAsListed,  ///< also only after the compute ops listed before it: what it brings takes their place in memory
};

/// Where a lane is in the list of its rank's ops.
struct LaneProgress {
  OpId op = 0;                    ///< running or next
  std::uint32_t outstanding = 0;  ///< transfers of the exchange that is running
  bool running = false;
};

/// What the first ranks that did not finish are waiting in; empty if all did. `progress` by rank, then lane.
[[nodiscard]] std::string stuck_text(const Schedule& schedule, std::span<const LaneProgress> progress, double now_s);

/// Steps through a schedule in time: every lane of a rank runs its ops in order, an op waits for what it depends on, a
/// transfer starts when both its exchanges have started, passes its start-up and then its bytes, an exchange ends with
/// its last transfer. From the start of an exchange to the end of each of its transfers compute of the rank is slower,
/// by what such a transfer takes of it: of several the one that takes most counts; and where bytes that flow through a
/// port slow compute down, not below that. Where ranks share processors, those that compute at a time have equal parts
/// of them. Where exchanges are late (`Framework`), one also waits for the compute ops listed before it, and if a
/// kernel runs then, or starts at that moment, until all of its tiles are on SMs. What links do to each other, and
/// compute to links, is the clock's business:
///
///     double now();                                       // seconds
///     void after(double seconds, Event);                  // after what arrives at that moment
///     void send(Rank from, Rank to, double bytes, Event);  // bytes > 0 flow from now on; then the event
///     void compute(Rank, int by);  // it begins to (1) or ends (−1); where that slows messages down
///     void run(auto&& happened);                           // calls happened(Event) until nothing is left
template <typename Clock>
class Execution {
 public:
  /// `times`: as a CostModel gives them. All arguments must outlive it.
  Execution(const Schedule& schedule, const Network& network, const OpTimes& times, Receive receive, Clock& clock);

  /// Once. @returns when every op ran, up to where `stuck` says.
  [[nodiscard]] Trace run();

  /// After a run: the deadlock that ended it; empty if all ops ran.
  [[nodiscard]] std::string stuck() const { return stuck_text(schedule_, progress_, clock_.now()); }

 private:
  static constexpr double kNotYet = -1;

  [[nodiscard]] std::size_t index(Rank rank, Lane lane) const {
    return static_cast<std::size_t>(rank) * static_cast<std::size_t>(lanes_) + lane;
  }
  [[nodiscard]] bool may_start(Rank rank, OpId op) const;
  [[nodiscard]] bool is_placed(Rank rank) const;
  [[nodiscard]] bool brings_partials(const Exchange& exchange) const;
  void seek(Rank rank, Lane lane, OpId from);
  void advance(Rank rank);
  bool start(Rank rank, Lane lane);
  void start_transfer(TransferId t);
  void send(TransferId t);
  void end_transfer(TransferId t);
  void leave(Rank rank, Lane lane);
  void end_op(Rank rank, Lane lane);
  void happened(Event event);
  [[nodiscard]] bool is_due(double due_s) const;
  [[nodiscard]] bool has_computed(Rank rank) const;
  void count_transfer(Rank rank, TransferId t, int by);
  void count_flow(TransferId t, int by);
  void change_speed(Rank rank);
  void count_compute(Rank rank, int by);
  void place(Rank rank, double after_s);

  /// The op on the compute lane of a rank, where its speed may change.
  struct Compute {
    double left_s = 0;  ///< at `since_s`, at full speed
    double since_s = 0;
    double speed = 1;
    double due_s = 0;  ///< when it ends if nothing changes: an event before it is one that a change made void
  };

  const Schedule& schedule_;
  const Network& network_;
  Clock& clock_;
  Receive receive_;
  Dependencies dependencies_;
  const OpTimes& times_;
  int lanes_;
  std::vector<Lane> lane_of_;           ///< by op
  std::vector<std::uint8_t> posted_;    ///< by transfer: how many of its two exchanges have started
  std::vector<LaneProgress> progress_;  ///< by rank, then lane
  std::vector<Compute> compute_;        ///< by rank; none where all compute is at full speed
  std::vector<double> placed_due_s_;  ///< by rank: when all tiles of what it computes are on SMs; none if none is late
  std::vector<std::vector<Rank>> sharers_;   ///< by node: its ranks, where they share processors
  std::vector<int> computing_;               ///< by node: ranks that compute, likewise
  std::vector<std::array<int, 2>> running_;  ///< by rank: transfers of its exchanges that run, in the node and beyond
  std::vector<int> flowing_;                 ///< by rank: messages whose bytes flow through its port
  Trace trace_;
};

template <typename Clock>
Execution<Clock>::Execution(const Schedule& schedule, const Network& network, const OpTimes& times, Receive receive,
                            Clock& clock)
    : schedule_(schedule),
      network_(network),
      clock_(clock),
      receive_(receive),
      dependencies_(schedule),
      times_(times),
      lanes_(schedule.lanes()),
      posted_(schedule.transfers.size()),
      progress_(static_cast<std::size_t>(schedule.problem.ranks) * static_cast<std::size_t>(lanes_)),
      trace_{std::vector<double>(schedule.ops.size(), kNotYet), std::vector<double>(schedule.ops.size(), kNotYet), 0} {
  if (network.can_slow_compute()) {
    compute_.resize(static_cast<std::size_t>(schedule.problem.ranks));
    running_.resize(compute_.size());
    flowing_.resize(compute_.size());
  }
  if (!times.placed_s.empty()) placed_due_s_.resize(static_cast<std::size_t>(schedule.problem.ranks));
  if (network.shares_processors()) {
    sharers_.resize(static_cast<std::size_t>(network.nodes()));
    computing_.resize(sharers_.size());
    for (Rank rank = 0; rank < schedule.problem.ranks; ++rank)
      sharers_[static_cast<std::size_t>(network.node_of(rank))].push_back(rank);
  }
  lane_of_.reserve(schedule.ops.size());
  for (const Op& op : schedule.ops) lane_of_.push_back(schedule.lane(op));
}

template <typename Clock>
bool Execution<Clock>::brings_partials(const Exchange& exchange) const {
  return std::ranges::any_of(schedule_.transfers_of(exchange), [&](TransferId t) {
    return is_partial(schedule_.values[schedule_.transfers[t].made].tensor);
  });
}

template <typename Clock>
bool Execution<Clock>::may_start(Rank rank, OpId op) const {
  for (OpId before : dependencies_.of(op))
    if (trace_.end_s[before] == kNotYet) return false;
  const auto* exchange = std::get_if<Exchange>(&schedule_.ops[op]);
  if (exchange == nullptr) return true;
  const bool is_next = progress_[index(rank, kComputeLane)].op > op;  // all compute listed before has ended
  if (!placed_due_s_.empty()) return is_next && is_placed(rank);
  return receive_ == Receive::kEarly || is_next || brings_partials(*exchange);
}

/// Whether no kernel of the rank keeps an exchange off its SMs.
template <typename Clock>
bool Execution<Clock>::is_placed(Rank rank) const {
  return !progress_[index(rank, kComputeLane)].running || is_due(placed_due_s_[static_cast<std::size_t>(rank)]);
}

/// All tiles of what the rank computes will be on SMs after so long, if nothing changes.
template <typename Clock>
void Execution<Clock>::place(Rank rank, double after_s) {
  if (placed_due_s_.empty()) return;
  placed_due_s_[static_cast<std::size_t>(rank)] = clock_.now() + after_s;
  if (after_s > 0) clock_.after(after_s, {Event::Kind::kPlaced, static_cast<std::uint32_t>(rank)});
}

/// Sets a lane to its first op from `from` on.
template <typename Clock>
void Execution<Clock>::seek(Rank rank, Lane lane, OpId from) {
  const OpId end = schedule_.ops_end(rank);
  while (from < end && lane_of_[from] != lane) ++from;
  progress_[index(rank, lane)] = {from, 0, false};
}

/// Starts what can start on a rank, compute before exchanges.
template <typename Clock>
void Execution<Clock>::advance(Rank rank) {
  for (int lane = 0; lane < lanes_;) {
    const LaneProgress& p = progress_[index(rank, static_cast<Lane>(lane))];
    const bool starts = !p.running && p.op != schedule_.ops_end(rank) && may_start(rank, p.op);
    lane =
        starts && start(rank, static_cast<Lane>(lane)) ? 0 : lane + 1;  // another may wait for what has ended at once
  }
}

/// @returns whether it has ended at once.
template <typename Clock>
bool Execution<Clock>::start(Rank rank, Lane lane) {
  LaneProgress& p = progress_[index(rank, lane)];
  p.running = true;
  trace_.start_s[p.op] = clock_.now();
  const auto* exchange = std::get_if<Exchange>(&schedule_.ops[p.op]);
  if (exchange != nullptr && exchange->count > 0) {
    p.outstanding = exchange->count;
    for (TransferId t : schedule_.transfers_of(*exchange)) count_transfer(rank, t, 1);
    if (!compute_.empty()) change_speed(rank);
    for (TransferId t : schedule_.transfers_of(*exchange))
      if (++posted_[t] == 2) start_transfer(t);
    return false;
  }
  if (const double seconds = times_.seconds[p.op]; seconds > 0) {
    if (network_.can_slow_messages()) clock_.compute(rank, 1);
    if (compute_.empty()) {
      if (!placed_due_s_.empty()) place(rank, times_.placed_s[p.op]);
      clock_.after(seconds, {Event::Kind::kComputed, static_cast<std::uint32_t>(rank)});
    } else {
      compute_[static_cast<std::size_t>(rank)] = {seconds, clock_.now(), 0, 0};
      change_speed(rank);
      count_compute(rank, 1);
    }
    return false;
  }
  leave(rank, lane);
  return true;
}

/// A transfer of an exchange that has started on the rank (by = 1), or of one that runs there has ended (−1).
template <typename Clock>
void Execution<Clock>::count_transfer(Rank rank, TransferId t, int by) {
  if (compute_.empty()) return;
  const Transfer& transfer = schedule_.transfers[t];
  const Rank from = schedule_.values[transfer.source].rank, to = schedule_.values[transfer.made].rank;
  running_[static_cast<std::size_t>(rank)][network_.share_node(from, to) ? 0 : 1] += by;
}

/// The bytes of a transfer begin to flow (by = 1), or have arrived (−1).
template <typename Clock>
void Execution<Clock>::count_flow(TransferId t, int by) {
  if (network_.beside_messages() == 1) return;
  const Rank from = schedule_.values[schedule_.transfers[t].source].rank;
  const Rank to = schedule_.values[schedule_.transfers[t].made].rank;
  if (!network_.share_node(from, to)) return;
  for (Rank rank : {from, to}) {
    flowing_[static_cast<std::size_t>(rank)] += by;
    change_speed(rank);
  }
}

/// After an op of the rank's compute lane has started, or transfers have started to run there or ended.
template <typename Clock>
void Execution<Clock>::change_speed(Rank rank) {
  if (!progress_[index(rank, kComputeLane)].running) return;
  const auto& [in_node, between_nodes] = running_[static_cast<std::size_t>(rank)];
  double speed = 1;
  if (in_node > 0) speed = std::min(speed, 1 - network_.taken_in_node());
  if (between_nodes > 0) speed = std::min(speed, 1 - network_.taken_between_nodes());
  if (flowing_[static_cast<std::size_t>(rank)] > 0) speed = std::min(speed, network_.beside_messages());
  if (!computing_.empty())
    speed *= network_.share(std::max(1, computing_[static_cast<std::size_t>(network_.node_of(rank))]));
  Compute& op = compute_[static_cast<std::size_t>(rank)];
  if (speed == op.speed) return;
  const double now_s = clock_.now();
  op.left_s -= (now_s - op.since_s) * op.speed;
  op.since_s = now_s;
  op.speed = speed;
  const double seconds = std::max(0.0, op.left_s) / speed;
  op.due_s = now_s + seconds;
  if (!placed_due_s_.empty()) {
    const OpId id = progress_[index(rank, kComputeLane)].op;
    place(rank, std::max(0.0, op.left_s - (times_.seconds[id] - times_.placed_s[id])) / speed);
  }
  clock_.after(seconds, {Event::Kind::kComputed, static_cast<std::uint32_t>(rank)});
}

/// A rank has begun to compute (by = 1) or ended (−1): those that share processors with it feel it.
template <typename Clock>
void Execution<Clock>::count_compute(Rank rank, int by) {
  if (computing_.empty()) return;
  const auto node = static_cast<std::size_t>(network_.node_of(rank));
  const double before = network_.share(std::max(1, computing_[node]));
  computing_[node] += by;
  if (network_.share(std::max(1, computing_[node])) == before) return;
  for (Rank other : sharers_[node]) change_speed(other);
}

template <typename Clock>
bool Execution<Clock>::is_due(double due_s) const {
  const double now_s = clock_.now(), same_s = std::max(1e-10, 1e-12 * now_s);  // more than a clock is off
  return now_s >= due_s - same_s;
}

/// Whether an event that says so is to be believed: not if the op has lost speed since.
template <typename Clock>
bool Execution<Clock>::has_computed(Rank rank) const {
  return compute_.empty() ||
         (progress_[index(rank, kComputeLane)].running && is_due(compute_[static_cast<std::size_t>(rank)].due_s));
}

/// Both ends are there: the start-up passes, then the bytes flow.
template <typename Clock>
void Execution<Clock>::start_transfer(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  const Route route = network_.route(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank);
  const auto bytes = static_cast<double>(schedule_.bytes(transfer.made));
  clock_.after(network_.startup_s(route, bytes), {Event::Kind::kStartedUp, t});
}

template <typename Clock>
void Execution<Clock>::send(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  const auto bytes = static_cast<double>(schedule_.bytes(transfer.made));
  if (bytes == 0) return end_transfer(t);
  count_flow(t, 1);
  clock_.send(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank, bytes,
              {Event::Kind::kArrived, t});
}

template <typename Clock>
void Execution<Clock>::end_transfer(TransferId t) {
  const Transfer& transfer = schedule_.transfers[t];
  for (ValueId end : {transfer.source, transfer.made}) {
    const Rank rank = schedule_.values[end].rank;
    count_transfer(rank, t, -1);
    if (!compute_.empty()) change_speed(rank);
    if (--progress_[index(rank, transfer.lane)].outstanding == 0) end_op(rank, transfer.lane);
  }
}

template <typename Clock>
void Execution<Clock>::leave(Rank rank, Lane lane) {
  const OpId op = progress_[index(rank, lane)].op;
  trace_.end_s[op] = clock_.now();
  seek(rank, lane, op + 1);
}

template <typename Clock>
void Execution<Clock>::end_op(Rank rank, Lane lane) {
  leave(rank, lane);
  if (placed_due_s_.empty()) return advance(rank);
  clock_.after(0, {Event::Kind::kPlaced, static_cast<std::uint32_t>(rank)});  // after all that arrives now
}

template <typename Clock>
void Execution<Clock>::happened(Event event) {
  switch (event.kind) {
    case Event::Kind::kComputed:
      if (!has_computed(static_cast<Rank>(event.id))) return;
      if (network_.can_slow_messages()) clock_.compute(static_cast<Rank>(event.id), -1);
      leave(static_cast<Rank>(event.id), kComputeLane);
      count_compute(static_cast<Rank>(event.id), -1);
      return advance(static_cast<Rank>(event.id));
    case Event::Kind::kPlaced:
      return advance(static_cast<Rank>(event.id));
    case Event::Kind::kStartedUp:
      return send(event.id);
    case Event::Kind::kArrived:
      count_flow(event.id, -1);
      return end_transfer(event.id);
  }
}

template <typename Clock>
Trace Execution<Clock>::run() {
  for (Rank rank = 0; rank < schedule_.problem.ranks; ++rank)
    for (int lane = 0; lane < lanes_; ++lane) seek(rank, static_cast<Lane>(lane), schedule_.ops_begin(rank));
  for (Rank rank = 0; rank < schedule_.problem.ranks; ++rank) advance(rank);
  clock_.run([this](Event event) { happened(event); });
  for (double end_s : trace_.end_s) trace_.makespan_s = std::max(trace_.makespan_s, end_s);
  return std::move(trace_);
}

}  // namespace meshattn
