#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "core/execution/cpu/machine.h"
#include "core/execution/cpu/progress.h"

namespace meshattn::cpu {

/// Runs each lane of each rank on its own thread. One mutex guards all bookkeeping; numbers are computed outside it.
template <typename T>
class ThreadPerLane {
 public:
  ThreadPerLane(const Schedule& s, Machine<T>& machine, std::span<LaneProgress> lanes)
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

  /// Does the next op of a lane. @returns false if the run has stopped instead.
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
      progress_.set_copied(t);
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

  /// Wakes the waiting lanes of a rank, so that they check again whether they can go on.
  void wake(Rank rank) {
    const auto first = std::ranges::lower_bound(lanes_, rank, {}, &LaneProgress::rank) - lanes_.begin();
    for (auto i = static_cast<std::size_t>(first); i < lanes_.size() && lanes_[i].rank == rank; ++i) {
      if (!waiting_[i]) continue;
      waiting_[i] = false;
      --waiting_count_;
      changed_[i].notify_one();
    }
  }

  /// Stops the run if all lanes wait. A waiting lane has checked since its rank last changed, so none will ever go on.
  void stop_if_stuck() {
    if (waiting_count_ == alive_) stop();
  }
  void stop() {
    stopped_ = true;
    for (std::condition_variable& c : changed_) c.notify_all();
  }
  void fail(std::exception_ptr error) {
    const Lock lock(mutex_);
    error_ = std::move(error);
    stop();
  }

  const Schedule& s_;
  Machine<T>& machine_;
  Progress progress_;
  std::span<LaneProgress> lanes_;
  std::vector<char> waiting_;                    ///< by lane
  std::deque<std::condition_variable> changed_;  ///< by lane
  std::size_t alive_;                            ///< lanes that still run
  std::size_t waiting_count_ = 0;
  bool stopped_ = false;
  std::exception_ptr error_;
  std::mutex mutex_;
};

}  // namespace meshattn::cpu
