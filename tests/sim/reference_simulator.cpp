#include "tests/sim/reference_simulator.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace meshattn {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// A transfer. It waits for both of its exchanges, then for its start-up; then its bytes flow.
struct Flow {
  int posted = 0;
  double flows_from = kNever;
  double bytes_left = 0;
  double rate = 0;
  Route route;
  bool done = false;
};

class ReferenceSimulator {
 public:
  ReferenceSimulator(const Schedule& schedule, const Network& network, const CostModel& cost);

  Trace run();

 private:
  [[nodiscard]] bool flowing(const Flow& f) const { return !f.done && f.flows_from <= now_; }
  [[nodiscard]] bool computes(OpId op) const {
    return started_[op] && !ended_[op] && !std::holds_alternative<Exchange>(s_.ops[op]);
  }
  [[nodiscard]] bool ready(Rank rank, OpId op) const;
  /// Whether the host has issued all of a compute op.
  [[nodiscard]] bool issued(OpId op) const {
    return times_.issued_s.empty() || now_ >= times_.issued_s[op] + times_.host_s - 1e-12;
  }
  [[nodiscard]] double before_last_wave_s(OpId op) const;
  [[nodiscard]] bool must_wait_for_kernel(Rank rank, OpId exchange) const;
  [[nodiscard]] double speed(Rank rank) const;
  bool start(Rank rank, OpId op);
  bool end(Rank rank, OpId op);
  bool settle();
  void share();
  [[nodiscard]] double next_event() const;

  const Schedule& s_;
  const Network& network_;
  const OpTimes times_;
  std::vector<double> left_s_;  ///< by op: compute left, in seconds at full speed
  std::vector<Flow> flows_;
  std::vector<int> makers_left_;  ///< by value: ops that have not contributed yet
  std::vector<bool> started_, ended_;
  Trace trace_;
  double now_ = 0;
};

ReferenceSimulator::ReferenceSimulator(const Schedule& schedule, const Network& network, const CostModel& cost)
    : s_(schedule),
      network_(network),
      times_(cost.times(schedule)),
      left_s_(times_.seconds),
      flows_(s_.transfers.size()),
      makers_left_(s_.values.size()),
      started_(s_.ops.size()),
      ended_(s_.ops.size()),
      trace_{std::vector<double>(s_.ops.size()), std::vector<double>(s_.ops.size(), kNever), 0} {
  for (std::size_t t = 0; t < flows_.size(); ++t) {
    flows_[t].bytes_left = static_cast<double>(s_.bytes(s_.transfers[t].made));
    flows_[t].route = network_.route(s_.values[s_.transfers[t].source].rank, s_.values[s_.transfers[t].made].rank);
  }
  for (Rank r = 0; r < s_.problem.ranks; ++r)
    for (OpId op = s_.ops_begin(r); op < s_.ops_end(r); ++op)
      for_each_operand(
          s_, s_.ops[op], r, [](ValueId) {}, [&](ValueId v) { ++makers_left_[v]; });
}

bool ReferenceSimulator::ready(Rank rank, OpId op) const {
  bool ready = times_.issued_s.empty() || now_ >= times_.issued_s[op] - 1e-12;
  for (OpId before = s_.ops_begin(rank); before < op; ++before)
    ready = ready && (ended_[before] || s_.lane(s_.ops[before]) != s_.lane(s_.ops[op]));
  for_each_operand(
      s_, s_.ops[op], rank, [&](ValueId v) { ready = ready && makers_left_[v] == 0; }, [](ValueId) {});
  for (const ReuseWait& wait : s_.waits) ready = ready && (wait.op != op || ended_[wait.after]);
  return ready;
}

/// Time at full speed until the last wave of a compute op begins; 0 if it has, or exchanges do not wait for kernels.
double ReferenceSimulator::before_last_wave_s(OpId op) const {
  if (times_.last_wave_s.empty()) return 0;
  const double left_s = left_s_[op] - (times_.seconds[op] - times_.last_wave_s[op]);
  return left_s < 1e-14 ? 0 : left_s;
}

/// Whether an exchange waits for a kernel: one listed before it, or one whose last wave has not begun.
bool ReferenceSimulator::must_wait_for_kernel(Rank rank, OpId exchange) const {
  if (times_.last_wave_s.empty()) return false;
  for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank); ++op)
    if (!std::holds_alternative<Exchange>(s_.ops[op]) && !ended_[op])
      if (op < exchange || (started_[op] && before_last_wave_s(op) > 0)) return true;
  return false;
}

/// Speed of a rank's compute: the largest slow-down by a running transfer, times its share of processors.
double ReferenceSimulator::speed(Rank rank) const {
  double speed = 1;
  for (OpId op = s_.ops_begin(rank); op < s_.ops_end(rank); ++op)
    if (const auto* exchange = std::get_if<Exchange>(&s_.ops[op]); exchange != nullptr && started_[op] && !ended_[op])
      for (TransferId t : s_.transfers_of(*exchange))
        if (!flows_[t].done)
          speed = std::min(speed, 1 - (flows_[t].route.inter_node ? network_.sm_share_between_nodes()
                                                                  : network_.sm_share_in_node()));
  for (TransferId t = 0; t < flows_.size(); ++t)
    if (flowing(flows_[t]) && !flows_[t].route.inter_node &&
        (s_.values[s_.transfers[t].source].rank == rank || s_.values[s_.transfers[t].made].rank == rank))
      speed = std::min(speed, network_.compute_efficiency_during_transfers());
  int computing = 0;
  for (OpId op = 0; op < s_.ops.size(); ++op)
    if (computes(op) && network_.share_node(rank, s_.rank_of(op))) ++computing;
  return speed * std::min(1.0, network_.processors() / std::max(1, computing));
}

/// Starts an op if it can start now. @returns whether it did.
bool ReferenceSimulator::start(Rank rank, OpId op) {
  if (started_[op] || !ready(rank, op)) return false;
  started_[op] = true;
  trace_.start_s[op] = now_;
  if (const auto* exchange = std::get_if<Exchange>(&s_.ops[op]))
    for (TransferId t : s_.transfers_of(*exchange))
      if (++flows_[t].posted == 2)
        flows_[t].flows_from = now_ + network_.startup_s(flows_[t].route, flows_[t].bytes_left);
  return true;
}

/// Ends an op if it can end now. @returns whether it did.
bool ReferenceSimulator::end(Rank rank, OpId op) {
  if (!started_[op] || ended_[op]) return false;
  if (const auto* exchange = std::get_if<Exchange>(&s_.ops[op])) {
    for (TransferId t : s_.transfers_of(*exchange))
      if (!flows_[t].done) return false;
  } else if (left_s_[op] > 0 || !issued(op)) {
    return false;
  }
  trace_.end_s[op] = now_;
  ended_[op] = true;
  for_each_operand(
      s_, s_.ops[op], rank, [](ValueId) {}, [&](ValueId v) { --makers_left_[v]; });
  return true;
}

/// One round of events of this moment: ends of ops, then starts of compute ops, then starts of exchanges. @returns
/// whether there were any.
bool ReferenceSimulator::settle() {
  bool changed = false;
  for (Flow& f : flows_)
    if (flowing(f) && f.bytes_left <= 0) f.done = changed = true;
  for (OpId op = 0; op < s_.ops.size(); ++op) changed = end(s_.rank_of(op), op) || changed;
  for (const bool exchanges : {false, true}) {
    if (changed) return true;
    for (OpId op = 0; op < s_.ops.size(); ++op)
      if (const Rank rank = s_.rank_of(op); std::holds_alternative<Exchange>(s_.ops[op]) == exchanges)
        if (!exchanges || !must_wait_for_kernel(rank, op)) changed = start(rank, op) || changed;
  }
  return changed;
}

/// Max-min fair rates by progressive filling: repeatedly, the link with the least bandwidth per open flow fixes them.
void ReferenceSimulator::share() {
  std::vector<std::set<std::pair<LinkId, LinkId>>> pairs(
      network_.links().size());  // by first and last link of their routes
  for (const Flow& f : flows_)
    if (flowing(f))
      for (LinkId link : f.route.span()) pairs[link].insert({f.route.span().front(), f.route.span().back()});
  std::vector<double> left;
  std::vector<bool> busy(pairs.size());
  for (OpId op = 0; op < s_.ops.size(); ++op)
    if (network_.compute_slows_messages() && computes(op)) {
      const Route slowed = network_.links_slowed_by_compute(s_.rank_of(op));
      for (LinkId link : slowed) busy[link] = true;
    }
  for (LinkId link = 0; link < pairs.size(); ++link)
    left.push_back(network_.links()[link].capacity(pairs[link].size(), busy[link]));
  for (Flow& f : flows_) f.rate = 0;
  while (true) {
    std::vector<int> open(left.size());
    for (const Flow& f : flows_)
      if (flowing(f) && f.rate == 0)
        for (LinkId link : f.route.span()) ++open[link];
    LinkId tightest = 0;
    double least = kNever;
    for (LinkId link = 0; link < left.size(); ++link)
      if (open[link] > 0 && left[link] / open[link] < least) least = left[link] / open[tightest = link];
    if (least == kNever) return;
    for (Flow& f : flows_)
      if (flowing(f) && f.rate == 0 && std::ranges::count(f.route.span(), tightest) > 0) {
        f.rate = least;
        for (LinkId link : f.route.span()) left[link] -= least;
      }
  }
}

double ReferenceSimulator::next_event() const {
  double next = kNever;
  for (OpId op = 0; op < s_.ops.size(); ++op)
    if (computes(op)) {
      const double left_s = before_last_wave_s(op) > 0 ? before_last_wave_s(op) : left_s_[op];
      if (left_s > 0) next = std::min(next, now_ + left_s / speed(s_.rank_of(op)));
    }
  for (double issued_s : times_.issued_s)
    for (double moment : {issued_s, issued_s + times_.host_s})
      if (moment > now_ + 1e-12) next = std::min(next, moment);
  for (const Flow& f : flows_)
    if (!f.done && f.flows_from < kNever)
      next = std::min(next, flowing(f) ? now_ + f.bytes_left / f.rate : f.flows_from);
  return next;
}

Trace ReferenceSimulator::run() {
  while (true) {
    while (settle()) continue;
    share();
    const double next = next_event();
    if (next == kNever) break;
    for (Flow& f : flows_)
      if (flowing(f)) {
        f.bytes_left -= f.rate * (next - now_);
        if (f.bytes_left < 1e-3) f.bytes_left = 0;  // rounding: a thousandth of a byte takes less than a picosecond
      }
    for (OpId op = 0; op < s_.ops.size(); ++op)
      if (computes(op)) {
        left_s_[op] -= speed(s_.rank_of(op)) * (next - now_);
        if (left_s_[op] < 1e-14) left_s_[op] = 0;
      }
    now_ = next;
  }
  if (std::ranges::count(ended_, false) > 0) throw SimulationError("deadlock");
  trace_.makespan_s = std::ranges::max(trace_.end_s);
  return trace_;
}

}  // namespace

Trace simulate_reference(const Schedule& schedule, const Network& network, const CostModel& cost) {
  return ReferenceSimulator(schedule, network, cost).run();
}

}  // namespace meshattn
