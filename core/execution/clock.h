#pragma once

#include <concepts>

#include "core/execution/event.h"
#include "core/problem/partition.h"

namespace meshattn {

/// The clock that the engine is stepped by: it delivers events in the order of their times and moves bytes over links.
/// How links share their bandwidth is the clock's choice. Times are seconds from the start of the schedule.
///
/// * `now()`: the time of the event that is being handled; 0 before the first.
/// * `after(seconds, event)`: delivers the event that much later, after all messages that arrive at that moment.
/// * `send(from, to, bytes, arrived)`: bytes > 0 start to flow between two ranks, without a start-up; the event follows
///   their last byte.
/// * `set_computing(rank, computes)`: a rank starts or stops computing. Called only if
///   `Network::compute_slows_messages()`.
/// * `run(handle)`: calls `handle(event)` for each event until none is left. Called once; `handle` calls the others.
template <typename C>
concept Clock = requires(C& clock, double amount, Rank rank, Event event, bool computes, void (*handle)(Event)) {
  { clock.now() } -> std::convertible_to<double>;
  clock.after(amount, event);
  clock.send(rank, rank, amount, event);
  clock.set_computing(rank, computes);
  clock.run(handle);
};

}  // namespace meshattn
