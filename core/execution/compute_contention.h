#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/cluster/network.h"
#include "core/execution/event.h"
#include "core/execution/op_times.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Whether a moment has come, as far as a clock is exact.
template <typename Clock>
[[nodiscard]] bool is_due(Clock& clock, double at_s) {
  const double now_s = clock.now(), same_s = std::max(1e-10, 1e-12 * now_s);  // more than a clock is off
  return now_s >= at_s - same_s;
}

/// How fast each rank computes, op by op, beside what it exchanges and beside those that it shares processors with: see
/// Engine, whose clock it tells when an op will have ended and, where exchanges are late, when all tiles of its
/// kernel will be on SMs. A change of speed makes what was told before void.
template <typename Clock>
class ComputeContention {
 public:
  /// All arguments must outlive it.
  ComputeContention(const Schedule& schedule, const Network& network, const OpTimes& times, Clock& clock);

  /// The rank begins a compute op that takes time: Event::kComputeEnded and, where exchanges are late, kMayStart
  /// follow.
  void begin_compute(Rank rank, OpId op);
  /// Ends the op that a kComputeEnded event is about. @returns whether it was to be believed: not if the op has lost
  /// speed.
  [[nodiscard]] bool end_compute(Rank rank);
  /// Whether no kernel of the rank keeps an exchange off its SMs, where exchanges are late.
  [[nodiscard]] bool has_begun_last_wave(Rank rank) const {
    return op_[at(rank)] == kNone || is_due(clock_, last_wave_at_s_[at(rank)]);
  }

  /// An exchange with these transfers starts on the rank.
  void begin_transfers(Rank rank, std::span<const TransferId> transfers);
  /// A transfer of an exchange on the rank has ended.
  void end_transfer(Rank rank, TransferId t);
  /// The bytes of a transfer begin to flow.
  void begin_flow(TransferId t) { count_flow(t, 1); }
  /// The last byte of a transfer has arrived.
  void end_flow(TransferId t) { count_flow(t, -1); }

 private:
  [[nodiscard]] static std::size_t at(Rank rank) { return static_cast<std::size_t>(rank); }
  [[nodiscard]] bool speed_can_change() const { return !running_op_.empty(); }
  [[nodiscard]] bool is_in_node(TransferId t) const;
  void notify(Event::Kind kind, Rank rank, double after_s) {
    clock_.after(after_s, {kind, static_cast<std::uint32_t>(rank)});
  }
  void count_transfer(Rank rank, TransferId t, int by);
  void count_flow(TransferId t, int by);
  void count_compute(Rank rank, int by);
  void set_last_wave(Rank rank, double after_s);
  [[nodiscard]] double speed_of(Rank rank) const;
  void update_speed(Rank rank);

  /// An op whose speed may change.
  struct RunningOp {
    double left_s = 0;  ///< at `since_s`, at full speed
    double since_s = 0;
    double speed = 1;
    double due_s = 0;  ///< when it ends if nothing changes: an event before it is one that a change made void
  };

  const Schedule& schedule_;
  const Network& network_;
  const OpTimes& times_;
  Clock& clock_;
  std::vector<OpId> op_;               ///< by rank: what it computes; kNone if nothing
  std::vector<RunningOp> running_op_;  ///< by rank; none where all compute is at full speed
  std::vector<double>
      last_wave_at_s_;  ///< by rank: when all tiles of what it computes are on SMs; none if none is late
  std::vector<std::vector<Rank>> ranks_on_node_;  ///< by node: its ranks, where they share processors
  std::vector<int> computing_on_node_;            ///< by node: ranks that compute, likewise
  std::vector<std::array<int, 2>>
      running_transfers_;                ///< by rank: transfers of its exchanges that run, in the node and beyond
  std::vector<int> flows_through_port_;  ///< by rank: messages whose bytes flow through its port
};

template <typename Clock>
ComputeContention<Clock>::ComputeContention(const Schedule& schedule, const Network& network, const OpTimes& times,
                                            Clock& clock)
    : schedule_(schedule), network_(network), times_(times), clock_(clock), op_(at(schedule.problem.ranks), kNone) {
  if (network.compute_speed_varies()) {
    running_op_.resize(op_.size());
    running_transfers_.resize(op_.size());
    flows_through_port_.resize(op_.size());
  }
  if (times.exchanges_wait_for_kernels()) last_wave_at_s_.resize(op_.size());
  if (network.shares_processors()) {
    ranks_on_node_.resize(static_cast<std::size_t>(network.nodes()));
    computing_on_node_.resize(ranks_on_node_.size());
    for (Rank rank = 0; rank < schedule.problem.ranks; ++rank)
      ranks_on_node_[static_cast<std::size_t>(network.node_of(rank))].push_back(rank);
  }
}

template <typename Clock>
bool ComputeContention<Clock>::is_in_node(TransferId t) const {
  const Transfer& transfer = schedule_.transfers[t];
  return network_.share_node(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank);
}

template <typename Clock>
void ComputeContention<Clock>::begin_compute(Rank rank, OpId op) {
  const double seconds = times_.seconds[op];
  if (network_.compute_slows_messages()) clock_.compute(rank, 1);
  op_[at(rank)] = op;
  if (speed_can_change()) {
    running_op_[at(rank)] = {seconds, clock_.now(), 0, 0};
    update_speed(rank);
    return count_compute(rank, 1);
  }
  if (times_.exchanges_wait_for_kernels()) set_last_wave(rank, times_.last_wave_s[op]);
  notify(Event::Kind::kComputeEnded, rank, std::max(seconds, times_.earliest_end_s(op) - clock_.now()));
}

template <typename Clock>
bool ComputeContention<Clock>::end_compute(Rank rank) {
  if (speed_can_change() && (op_[at(rank)] == kNone || !is_due(clock_, running_op_[at(rank)].due_s))) return false;
  if (network_.compute_slows_messages()) clock_.compute(rank, -1);
  op_[at(rank)] = kNone;
  count_compute(rank, -1);
  return true;
}

template <typename Clock>
void ComputeContention<Clock>::begin_transfers(Rank rank, std::span<const TransferId> transfers) {
  if (!speed_can_change()) return;
  for (TransferId t : transfers) count_transfer(rank, t, 1);
  update_speed(rank);
}

template <typename Clock>
void ComputeContention<Clock>::end_transfer(Rank rank, TransferId t) {
  if (!speed_can_change()) return;
  count_transfer(rank, t, -1);
  update_speed(rank);
}

template <typename Clock>
void ComputeContention<Clock>::count_transfer(Rank rank, TransferId t, int by) {
  running_transfers_[at(rank)][is_in_node(t) ? 0 : 1] += by;
}

template <typename Clock>
void ComputeContention<Clock>::count_flow(TransferId t, int by) {
  if (network_.compute_efficiency_during_transfers() == 1 || !is_in_node(t)) return;
  const Transfer& transfer = schedule_.transfers[t];
  for (ValueId end : {transfer.source, transfer.made}) {
    const Rank rank = schedule_.values[end].rank;
    flows_through_port_[at(rank)] += by;
    update_speed(rank);
  }
}

/// A rank has begun to compute (by = 1) or ended (−1): those that share processors with it feel it.
template <typename Clock>
void ComputeContention<Clock>::count_compute(Rank rank, int by) {
  if (computing_on_node_.empty()) return;
  const auto node = static_cast<std::size_t>(network_.node_of(rank));
  const double before = network_.processor_share(std::max(1, computing_on_node_[node]));
  computing_on_node_[node] += by;
  if (network_.processor_share(std::max(1, computing_on_node_[node])) == before) return;
  for (Rank other : ranks_on_node_[node]) update_speed(other);
}

/// All tiles of what the rank computes will be on SMs after so long, if nothing changes.
template <typename Clock>
void ComputeContention<Clock>::set_last_wave(Rank rank, double after_s) {
  last_wave_at_s_[at(rank)] = clock_.now() + after_s;
  if (after_s > 0) notify(Event::Kind::kMayStart, rank, after_s);
}

template <typename Clock>
double ComputeContention<Clock>::speed_of(Rank rank) const {
  const auto& [in_node, between_nodes] = running_transfers_[at(rank)];
  double speed = 1;
  if (in_node > 0) speed = std::min(speed, 1 - network_.sm_share_in_node());
  if (between_nodes > 0) speed = std::min(speed, 1 - network_.sm_share_between_nodes());
  if (flows_through_port_[at(rank)] > 0) speed = std::min(speed, network_.compute_efficiency_during_transfers());
  if (computing_on_node_.empty()) return speed;
  return speed *
         network_.processor_share(std::max(1, computing_on_node_[static_cast<std::size_t>(network_.node_of(rank))]));
}

template <typename Clock>
void ComputeContention<Clock>::update_speed(Rank rank) {
  const OpId op = op_[at(rank)];
  if (op == kNone) return;
  const double speed = speed_of(rank), now_s = clock_.now();
  RunningOp& running = running_op_[at(rank)];
  if (speed == running.speed) return;
  running.left_s -= (now_s - running.since_s) * running.speed;
  running.since_s = now_s;
  running.speed = speed;
  const double seconds = std::max({0.0, running.left_s / speed, times_.earliest_end_s(op) - now_s});
  running.due_s = now_s + seconds;
  if (times_.exchanges_wait_for_kernels())
    set_last_wave(rank, std::max(0.0, running.left_s - (times_.seconds[op] - times_.last_wave_s[op])) / speed);
  notify(Event::Kind::kComputeEnded, rank, seconds);
}

}  // namespace meshattn
