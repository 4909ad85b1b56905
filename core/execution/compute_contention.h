#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/cluster/network.h"
#include "core/execution/clock.h"
#include "core/execution/event.h"
#include "core/execution/op_times.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Whether a moment has come. Clocks are exact to 1e-10 s and, relative to the time, 1e-12.
template <Clock C>
[[nodiscard]] bool is_due(C& clock, double at_s) {
  const double now_s = clock.now(), same_s = std::max(1e-10, 1e-12 * now_s);
  return now_s >= at_s - same_s;
}

/// How fast each rank computes at any moment, and when its op therefore ends. Two things slow a kernel down:
///
/// * Transfers of its rank. A transfer takes its share of SMs from the start of its exchange to its own end
///   (`Network::sm_share_in_node`, `sm_share_between_nodes`), and bytes that flow through the rank's port slow compute
///   down to `Network::compute_efficiency_during_transfers`. The largest of these slow-downs counts, not their product.
/// * Ranks of its node that compute at the same time, where they share processors (`Network::processor_share`).
///
/// The class asks the clock for kComputeEnded and, where exchanges wait for kernels, for kMayStart when the last wave
/// of a kernel begins. A change of speed moves the end of an op: events asked for before are then out of date.
template <Clock C>
class ComputeContention {
 public:
  /// All arguments must outlive it.
  ComputeContention(const Schedule& schedule, const Network& network, const OpTimes& times, C& clock);

  /// The rank begins a compute op that takes time.
  void begin_compute(Rank rank, OpId op);
  /// To be called at kComputeEnded. @returns whether the op has ended: false if the event is out of date.
  [[nodiscard]] bool end_compute(Rank rank);
  /// Whether the last wave of the rank's kernel has begun, so that exchanges find SMs; true if no kernel runs. Only
  /// where exchanges wait for kernels.
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

  /// A compute op whose speed may change.
  struct RunningOp {
    double left_s = 0;  ///< work left at `since_s`, in seconds at full speed
    double since_s = 0;
    double speed = 1;
    double due_s = 0;  ///< end at the present speed; an earlier event is out of date
  };

  const Schedule& schedule_;
  const Network& network_;
  const OpTimes& times_;
  C& clock_;
  std::vector<OpId> op_;                          ///< by rank: the op that it computes, or kNone
  std::vector<RunningOp> running_op_;             ///< by rank; empty if compute always has full speed
  std::vector<double> last_wave_at_s_;            ///< by rank; empty if exchanges do not wait for kernels
  std::vector<std::vector<Rank>> ranks_on_node_;  ///< by node; empty if ranks share no processors
  std::vector<int> computing_on_node_;            ///< by node: ranks that compute; empty if ranks share no processors
  std::vector<std::array<int, 2>> running_transfers_;  ///< by rank: in its node, between nodes
  std::vector<int> flows_through_port_;                ///< by rank: messages whose bytes flow
};

template <Clock C>
ComputeContention<C>::ComputeContention(const Schedule& schedule, const Network& network, const OpTimes& times,
                                        C& clock)
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

template <Clock C>
bool ComputeContention<C>::is_in_node(TransferId t) const {
  const Transfer& transfer = schedule_.transfers[t];
  return network_.share_node(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank);
}

template <Clock C>
void ComputeContention<C>::begin_compute(Rank rank, OpId op) {
  const double seconds = times_.seconds[op];
  if (network_.compute_slows_messages()) clock_.set_computing(rank, true);
  op_[at(rank)] = op;
  if (speed_can_change()) {
    running_op_[at(rank)] = {seconds, clock_.now(), 0, 0};
    update_speed(rank);
    return count_compute(rank, 1);
  }
  if (times_.exchanges_wait_for_kernels()) set_last_wave(rank, times_.last_wave_s[op]);
  notify(Event::Kind::kComputeEnded, rank, std::max(seconds, times_.earliest_end_s(op) - clock_.now()));
}

template <Clock C>
bool ComputeContention<C>::end_compute(Rank rank) {
  if (speed_can_change() && (op_[at(rank)] == kNone || !is_due(clock_, running_op_[at(rank)].due_s))) return false;
  if (network_.compute_slows_messages()) clock_.set_computing(rank, false);
  op_[at(rank)] = kNone;
  count_compute(rank, -1);
  return true;
}

template <Clock C>
void ComputeContention<C>::begin_transfers(Rank rank, std::span<const TransferId> transfers) {
  if (!speed_can_change()) return;
  for (TransferId t : transfers) count_transfer(rank, t, 1);
  update_speed(rank);
}

template <Clock C>
void ComputeContention<C>::end_transfer(Rank rank, TransferId t) {
  if (!speed_can_change()) return;
  count_transfer(rank, t, -1);
  update_speed(rank);
}

template <Clock C>
void ComputeContention<C>::count_transfer(Rank rank, TransferId t, int by) {
  running_transfers_[at(rank)][is_in_node(t) ? 0 : 1] += by;
}

template <Clock C>
void ComputeContention<C>::count_flow(TransferId t, int by) {
  if (network_.compute_efficiency_during_transfers() == 1 || !is_in_node(t)) return;
  const Transfer& transfer = schedule_.transfers[t];
  for (ValueId end : {transfer.source, transfer.made}) {
    const Rank rank = schedule_.values[end].rank;
    flows_through_port_[at(rank)] += by;
    update_speed(rank);
  }
}

/// A rank has begun to compute (by = 1) or ended (by = −1): this changes the speed of all that share its processors.
template <Clock C>
void ComputeContention<C>::count_compute(Rank rank, int by) {
  if (computing_on_node_.empty()) return;
  const auto node = static_cast<std::size_t>(network_.node_of(rank));
  const double before = network_.processor_share(std::max(1, computing_on_node_[node]));
  computing_on_node_[node] += by;
  if (network_.processor_share(std::max(1, computing_on_node_[node])) == before) return;
  for (Rank other : ranks_on_node_[node]) update_speed(other);
}

/// The last wave of the rank's kernel begins after this time unless its speed changes.
template <Clock C>
void ComputeContention<C>::set_last_wave(Rank rank, double after_s) {
  last_wave_at_s_[at(rank)] = clock_.now() + after_s;
  if (after_s > 0) notify(Event::Kind::kMayStart, rank, after_s);
}

template <Clock C>
double ComputeContention<C>::speed_of(Rank rank) const {
  const auto& [in_node, between_nodes] = running_transfers_[at(rank)];
  double speed = 1;
  if (in_node > 0) speed = std::min(speed, 1 - network_.sm_share_in_node());
  if (between_nodes > 0) speed = std::min(speed, 1 - network_.sm_share_between_nodes());
  if (flows_through_port_[at(rank)] > 0) speed = std::min(speed, network_.compute_efficiency_during_transfers());
  if (computing_on_node_.empty()) return speed;
  return speed *
         network_.processor_share(std::max(1, computing_on_node_[static_cast<std::size_t>(network_.node_of(rank))]));
}

template <Clock C>
void ComputeContention<C>::update_speed(Rank rank) {
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
