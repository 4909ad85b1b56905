#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <simgrid/kernel/Timer.hpp>
#include <simgrid/s4u.hpp>
#include <unordered_map>
#include <vector>

#include "core/cluster/network.h"
#include "core/execution/engine.h"
#include "core/execution/link_load.h"

namespace meshattn::sim {

/// The clock of a simulation: a Network in SimGrid, whose links messages share max-min fairly. The only header that
/// names SimGrid.
///
/// There are no actors. Each pair of ranks reuses SimGrid communications, so that a message costs only the sharing of
/// its links; SimGrid would search a list of all communications for a new one.
class Platform {
 public:
  /// `network` must outlive it. @throws SimulationError if this process has simulated before: SimGrid is
  /// process-global.
  explicit Platform(const Network& network);
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  /// SimGrid's time, rounded up to whole picoseconds, so that 8 times 1 ms is 8 ms. Its sums of intervals are off by
  /// less than 0.01 ps.
  [[nodiscard]] double now() const {
    return std::max(0.0, std::ceil(simgrid::s4u::Engine::get_clock() * 1e12 - 0.01)) / 1e12;
  }

  void after(double seconds, Event event) {
    simgrid::kernel::timer::Timer::set(simgrid::s4u::Engine::get_clock() + seconds, [this, event] { handle_(event); });
  }

  void send(Rank from, Rank to, double bytes, Event arrived);

  void set_computing(Rank rank, bool computes);

  void run(std::function<void(Event)> handle);

 private:
  using Action = simgrid::kernel::resource::Action;
  /// A reusable communication: running, or idle (suspended, on no link).
  struct Flow {
    Action* action;
    std::vector<std::uint32_t>* idle;  ///< the idle flows of its path
    Event arrived;
    Rank from = 0, to = 0;
    Route route{};
  };

  std::uint32_t make_flow(Rank from, Rank to);
  void end_finished_flows();
  void set_capacity(LinkId link);

  const Network& network_;
  LinkLoad link_load_;
  simgrid::s4u::Engine engine_;
  simgrid::kernel::resource::Model* model_ = nullptr;
  std::vector<simgrid::s4u::Host*> hosts_;  ///< by rank
  std::vector<simgrid::s4u::Link*> links_;  ///< by LinkId
  std::vector<Flow> flows_;
  std::unordered_map<const Action*, std::uint32_t> flow_of_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> idle_;  ///< by pair of ranks
  std::vector<std::uint32_t> finished_;                                 ///< flows whose last byte has arrived
  std::function<void(Event)> handle_;
};

}  // namespace meshattn::sim
