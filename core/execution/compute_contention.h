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
[[nodiscard]] bool has_come(Clock& clock, double at_s) {
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
  void begin(Rank rank, OpId op);
  /// Ends the op that a kComputeEnded event is about. @returns whether it was to be believed: not if the op has lost
  /// speed.
  [[nodiscard]] bool end(Rank rank);
  /// Whether no kernel of the rank keeps an exchange off its SMs, where exchanges are late.
  [[nodiscard]] bool is_placed(Rank rank) const {
    return op_[at(rank)] == kNone || has_come(clock_, placed_due_s_[at(rank)]);
  }

  /// An exchange with these transfers starts on the rank.
  void add(Rank rank, std::span<const TransferId> transfers);
  /// A transfer of an exchange on the rank has ended.
  void remove(Rank rank, TransferId t);
  /// The bytes of a transfer begin to flow (by = 1), or have arrived (−1).
  void count_flow(TransferId t, int by);

 private:
  [[nodiscard]] static std::size_t at(Rank rank) { return static_cast<std::size_t>(rank); }
  [[nodiscard]] bool can_change() const { return !work_.empty(); }
  [[nodiscard]] bool share_node(TransferId t) const;
  void tell(Event::Kind kind, Rank rank, double after_s) {
    clock_.after(after_s, {kind, static_cast<std::uint32_t>(rank)});
  }
  void count_transfer(Rank rank, TransferId t, int by);
  void count_compute(Rank rank, int by);
  void place(Rank rank, double after_s);
  [[nodiscard]] double speed_of(Rank rank) const;
  void change_speed(Rank rank);

  /// An op whose speed may change.
  struct Work {
    double left_s = 0;  ///< at `since_s`, at full speed
    double since_s = 0;
    double speed = 1;
    double due_s = 0;  ///< when it ends if nothing changes: an event before it is one that a change made void
  };

  const Schedule& schedule_;
  const Network& network_;
  const OpTimes& times_;
  Clock& clock_;
  std::vector<OpId> op_;              ///< by rank: what it computes; kNone if nothing
  std::vector<Work> work_;            ///< by rank; none where all compute is at full speed
  std::vector<double> placed_due_s_;  ///< by rank: when all tiles of what it computes are on SMs; none if none is late
  std::vector<std::vector<Rank>> sharers_;   ///< by node: its ranks, where they share processors
  std::vector<int> computing_;               ///< by node: ranks that compute, likewise
  std::vector<std::array<int, 2>> running_;  ///< by rank: transfers of its exchanges that run, in the node and beyond
  std::vector<int> flowing_;                 ///< by rank: messages whose bytes flow through its port
};

template <typename Clock>
ComputeContention<Clock>::ComputeContention(const Schedule& schedule, const Network& network, const OpTimes& times,
                                            Clock& clock)
    : schedule_(schedule), network_(network), times_(times), clock_(clock), op_(at(schedule.problem.ranks), kNone) {
  if (network.compute_speed_varies()) {
    work_.resize(op_.size());
    running_.resize(op_.size());
    flowing_.resize(op_.size());
  }
  if (times.exchanges_wait_for_kernels()) placed_due_s_.resize(op_.size());
  if (network.shares_processors()) {
    sharers_.resize(static_cast<std::size_t>(network.nodes()));
    computing_.resize(sharers_.size());
    for (Rank rank = 0; rank < schedule.problem.ranks; ++rank)
      sharers_[static_cast<std::size_t>(network.node_of(rank))].push_back(rank);
  }
}

template <typename Clock>
bool ComputeContention<Clock>::share_node(TransferId t) const {
  const Transfer& transfer = schedule_.transfers[t];
  return network_.share_node(schedule_.values[transfer.source].rank, schedule_.values[transfer.made].rank);
}

template <typename Clock>
void ComputeContention<Clock>::begin(Rank rank, OpId op) {
  const double seconds = times_.seconds[op];
  if (network_.compute_slows_messages()) clock_.compute(rank, 1);
  op_[at(rank)] = op;
  if (can_change()) {
    work_[at(rank)] = {seconds, clock_.now(), 0, 0};
    change_speed(rank);
    return count_compute(rank, 1);
  }
  if (times_.exchanges_wait_for_kernels()) place(rank, times_.last_wave_s[op]);
  tell(Event::Kind::kComputeEnded, rank, std::max(seconds, times_.earliest_end_s(op) - clock_.now()));
}

template <typename Clock>
bool ComputeContention<Clock>::end(Rank rank) {
  if (can_change() && (op_[at(rank)] == kNone || !has_come(clock_, work_[at(rank)].due_s))) return false;
  if (network_.compute_slows_messages()) clock_.compute(rank, -1);
  op_[at(rank)] = kNone;
  count_compute(rank, -1);
  return true;
}

template <typename Clock>
void ComputeContention<Clock>::add(Rank rank, std::span<const TransferId> transfers) {
  if (!can_change()) return;
  for (TransferId t : transfers) count_transfer(rank, t, 1);
  change_speed(rank);
}

template <typename Clock>
void ComputeContention<Clock>::remove(Rank rank, TransferId t) {
  if (!can_change()) return;
  count_transfer(rank, t, -1);
  change_speed(rank);
}

template <typename Clock>
void ComputeContention<Clock>::count_transfer(Rank rank, TransferId t, int by) {
  running_[at(rank)][share_node(t) ? 0 : 1] += by;
}

template <typename Clock>
void ComputeContention<Clock>::count_flow(TransferId t, int by) {
  if (network_.compute_efficiency_during_transfers() == 1 || !share_node(t)) return;
  const Transfer& transfer = schedule_.transfers[t];
  for (ValueId end : {transfer.source, transfer.made}) {
    const Rank rank = schedule_.values[end].rank;
    flowing_[at(rank)] += by;
    change_speed(rank);
  }
}

/// A rank has begun to compute (by = 1) or ended (−1): those that share processors with it feel it.
template <typename Clock>
void ComputeContention<Clock>::count_compute(Rank rank, int by) {
  if (computing_.empty()) return;
  const auto node = static_cast<std::size_t>(network_.node_of(rank));
  const double before = network_.processor_share(std::max(1, computing_[node]));
  computing_[node] += by;
  if (network_.processor_share(std::max(1, computing_[node])) == before) return;
  for (Rank other : sharers_[node]) change_speed(other);
}

/// All tiles of what the rank computes will be on SMs after so long, if nothing changes.
template <typename Clock>
void ComputeContention<Clock>::place(Rank rank, double after_s) {
  placed_due_s_[at(rank)] = clock_.now() + after_s;
  if (after_s > 0) tell(Event::Kind::kMayStart, rank, after_s);
}

template <typename Clock>
double ComputeContention<Clock>::speed_of(Rank rank) const {
  const auto& [in_node, between_nodes] = running_[at(rank)];
  double speed = 1;
  if (in_node > 0) speed = std::min(speed, 1 - network_.sm_share_in_node());
  if (between_nodes > 0) speed = std::min(speed, 1 - network_.sm_share_between_nodes());
  if (flowing_[at(rank)] > 0) speed = std::min(speed, network_.compute_efficiency_during_transfers());
  if (computing_.empty()) return speed;
  return speed * network_.processor_share(std::max(1, computing_[static_cast<std::size_t>(network_.node_of(rank))]));
}

template <typename Clock>
void ComputeContention<Clock>::change_speed(Rank rank) {
  const OpId op = op_[at(rank)];
  if (op == kNone) return;
  const double speed = speed_of(rank), now_s = clock_.now();
  Work& work = work_[at(rank)];
  if (speed == work.speed) return;
  work.left_s -= (now_s - work.since_s) * work.speed;
  work.since_s = now_s;
  work.speed = speed;
  const double seconds = std::max({0.0, work.left_s / speed, times_.earliest_end_s(op) - now_s});
  work.due_s = now_s + seconds;
  if (times_.exchanges_wait_for_kernels())
    place(rank, std::max(0.0, work.left_s - (times_.seconds[op] - times_.last_wave_s[op])) / speed);
  tell(Event::Kind::kComputeEnded, rank, seconds);
}

}  // namespace meshattn
