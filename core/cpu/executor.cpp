#include "core/cpu/executor.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/cpu/machine.h"
#include "core/cpu/progress.h"
#include "core/error.h"

namespace meshattn::cpu {

namespace {

void check_memory(const Schedule& s) {
  if (s.offset.size() != s.values.size())
    throw InvalidSchedule(fmt::format("{} of {} values have a place in memory", s.offset.size(), s.values.size()));
  for (ValueId v = 0; v < s.values.size(); ++v) {
    if (s.offset[v] % kBytesPerNumber != 0)
      throw InvalidSchedule(fmt::format("value {} is at the odd byte {}", v, s.offset[v]));
    if (s.offset[v] + s.bytes(v) > s.peak_bytes)
      throw InvalidSchedule(
          fmt::format("value {} ends at byte {} of an arena of {}", v, s.offset[v] + s.bytes(v), s.peak_bytes));
  }
}

/// One thread serves all ranks. Communication goes on as long as anything can, and only then each rank computes one op:
/// so communication lanes run as far ahead as the schedule lets them, and a missing reuse wait shows.
template <typename T>
class InTurn {
 public:
  InTurn(const Schedule& s, Machine<T>& machine, std::span<LaneProgress> lanes)
      : s_(s), machine_(machine), progress_(s), lanes_(lanes) {}

  void run() {
    while (sweep(false) || sweep(true)) {
    }
  }

 private:
  /// Takes each lane of the kind one step further. @returns whether any could go.
  bool sweep(bool computing) {
    bool moved = false;
    for (LaneProgress& lane : lanes_)
      if ((lane.lane == kComputeLane) == computing && !lane.done()) moved |= step(lane);
    return moved;
  }

  bool step(LaneProgress& lane) {
    const OpId op = lane.ops[lane.next];
    const auto* exchange = std::get_if<Exchange>(&s_.ops[op]);
    const bool starts = !lane.started;
    if (starts) {
      if (!progress_.may_start(op)) return false;
      lane.started = true;
      machine_.begin(lane.rank, op);
      machine_.compute(op);
      if (exchange != nullptr) start(*exchange);
    }
    if (exchange != nullptr && !progress_.may_end(*exchange)) return starts;
    progress_.end(op);
    lane.started = false;
    ++lane.next;
    return true;
  }

  void start(const Exchange& exchange) {
    for (TransferId t : s_.transfers_of(exchange))
      if (progress_.start(t)) {
        machine_.copy(t);
        progress_.copied(t);
      }
  }

  const Schedule& s_;
  Machine<T>& machine_;
  Progress progress_;
  std::span<LaneProgress> lanes_;
};

/// A thread for each lane. All bookkeeping is under one mutex; numbers are touched outside it.
template <typename T>
class Threads {
 public:
  Threads(const Schedule& s, Machine<T>& machine, std::span<LaneProgress> lanes)
      : s_(s),
        machine_(machine),
        progress_(s),
        lanes_(lanes),
        waiting_(lanes.size()),
        changed_(lanes.size()),
        alive_(lanes.size()) {}

  void run() {
    {
      std::vector<std::jthread> threads;
      try {
        for (std::size_t i = 0; i < lanes_.size(); ++i) threads.emplace_back([this, i] { serve(i); });
      } catch (...) {
        fail(std::current_exception());
      }
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  using Lock = std::unique_lock<std::mutex>;

  void serve(std::size_t at) {
    try {
      while (!lanes_[at].done() && step(at)) {
      }
    } catch (...) {
      fail(std::current_exception());
    }
    const Lock lock(mutex_);
    --alive_;
    stop_if_stuck();
  }

  /// Does the next op of a lane. @returns false if that will never be possible.
  bool step(std::size_t at) {
    LaneProgress& lane = lanes_[at];
    const OpId op = lane.ops[lane.next];
    Lock lock(mutex_);
    if (!wait(at, lock, [&] { return progress_.may_start(op); })) return false;
    lock.unlock();
    machine_.begin(lane.rank, op);
    machine_.compute(op);
    lock.lock();
    if (const auto* exchange = std::get_if<Exchange>(&s_.ops[op])) {
      lane.started = true;
      start(*exchange, lock);
      if (!wait(at, lock, [&] { return progress_.may_end(*exchange); })) return false;
      lane.started = false;
    }
    progress_.end(op);
    ++lane.next;
    wake(lane.rank);
    return true;
  }

  void start(const Exchange& exchange, Lock& lock) {
    for (TransferId t : s_.transfers_of(exchange)) {
      if (!progress_.start(t)) continue;
      lock.unlock();
      machine_.copy(t);
      lock.lock();
      progress_.copied(t);
      wake(s_.values[s_.transfers[t].source].rank);
      wake(s_.values[s_.transfers[t].made].rank);
    }
  }

  /// Waits until `ready`. @returns false if the run has stopped instead.
  template <typename Ready>
  bool wait(std::size_t at, Lock& lock, Ready ready) {
    while (!stopped_ && !ready()) {
      waiting_[at] = true;
      ++waiting_count_;
      stop_if_stuck();
      changed_[at].wait(lock, [&] { return stopped_ || !waiting_[at]; });
    }
    return !stopped_;
  }

  /// Lets the lanes of a rank look again whether they can go on.
  void wake(Rank rank) {
    const auto first = std::ranges::lower_bound(lanes_, rank, {}, &LaneProgress::rank) - lanes_.begin();
    for (auto i = static_cast<std::size_t>(first); i < lanes_.size() && lanes_[i].rank == rank; ++i) {
      if (!waiting_[i]) continue;
      waiting_[i] = false;
      --waiting_count_;
      changed_[i].notify_one();
    }
  }

  /// A lane that waits has looked since anything of its rank changed: if all wait, none will ever go on.
  void stop_if_stuck() {
    if (waiting_count_ == alive_) stop();
  }
  void stop() {
    stopped_ = true;
    for (std::condition_variable& c : changed_) c.notify_all();
  }
  void fail(std::exception_ptr error) {
    const Lock lock(mutex_);
    error_ = error;
    stop();
  }

  const Schedule& s_;
  Machine<T>& machine_;
  Progress progress_;
  std::span<LaneProgress> lanes_;
  std::vector<char> waiting_;
  std::deque<std::condition_variable> changed_;
  std::size_t alive_;
  std::size_t waiting_count_ = 0;
  bool stopped_ = false;
  std::exception_ptr error_;
  std::mutex mutex_;
};

template <typename T>
Tensors run_as(const Schedule& schedule, const Tensors& given, Ranks ranks) {
  Machine<T> machine(schedule, given);
  std::vector<LaneProgress> lanes = lanes_of(schedule);
  if (ranks == Ranks::kInTurn)
    InTurn<T>(schedule, machine, lanes).run();
  else
    Threads<T>(schedule, machine, lanes).run();
  if (!std::ranges::all_of(lanes, &LaneProgress::done)) throw InvalidSchedule(describe_deadlock(lanes));
  return machine.outputs();
}

}  // namespace

Tensors run(const Schedule& schedule, const Tensors& given, Precision precision, Ranks ranks) {
  check_memory(schedule);
  return precision == Precision::kFp32 ? run_as<float>(schedule, given, ranks) : run_as<double>(schedule, given, ranks);
}

}  // namespace meshattn::cpu
