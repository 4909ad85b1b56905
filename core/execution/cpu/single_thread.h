#pragma once

#include <span>
#include <variant>

#include "core/execution/cpu/machine.h"
#include "core/execution/cpu/progress.h"

namespace meshattn::cpu {

/// Runs all ranks on one thread. Each rank computes its next op only when no communication lane can go on. So
/// communication runs as far ahead as the schedule allows, and a missing reuse wait shows in the result.
template <typename T>
class SingleThread {
 public:
  SingleThread(const Schedule& s, Machine<T>& machine, std::span<LaneProgress> lanes)
      : s_(s), machine_(machine), progress_(s), lanes_(lanes) {}

  void run() {
    while (sweep(false) || sweep(true)) {
    }
  }

 private:
  /// Takes each compute lane, or each communication lane, one step further. @returns whether any could go on.
  bool sweep(bool computing) {
    bool moved = false;
    for (LaneProgress& lane : lanes_)
      if ((lane.lane == kComputeLane) == computing && !lane.done()) moved |= step(lane);
    return moved;
  }

  /// Starts or ends the next op of a lane. @returns whether it could do either.
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
        progress_.set_copied(t);
      }
  }

  const Schedule& s_;
  Machine<T>& machine_;
  Progress progress_;
  std::span<LaneProgress> lanes_;
};

}  // namespace meshattn::cpu
