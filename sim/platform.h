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

/// A Network in SimGrid: the clock of the engine; messages share its links max-min fairly. The one header that names
/// SimGrid.
///
/// No actors: a SimGrid communication between two ranks is made once and set going again for each message, so that a
/// message costs what the sharing of its links costs (a new one would be searched in a list of all that are under way).
class Platform {
 public:
  /// `network` must outlive it. @throws SimulationError if this process has simulated before: SimGrid is global.
  explicit Platform(const Network& network);
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  /// The next whole picosecond: SimGrid's sums of intervals are off by far less (0.01 is more than that), and 8 times
  /// 1 ms shall be 8 ms.
  [[nodiscard]] double now() const {
    return std::max(0.0, std::ceil(simgrid::s4u::Engine::get_clock() * 1e12 - 0.01)) / 1e12;
  }

  void after(double seconds, Event event) {
    simgrid::kernel::timer::Timer::set(simgrid::s4u::Engine::get_clock() + seconds,
                                       [this, event] { happened_(event); });
  }

  /// Bytes begin to flow now, without start-up. bytes > 0.
  void send(Rank from, Rank to, double bytes, Event arrived);

  void set_computing(Rank rank, bool computes);

  /// Runs until nothing is left to happen.
  void run(std::function<void(Event)> happened);

 private:
  using Action = simgrid::kernel::resource::Action;
  /// A communication that can be set going again: under way, or idle (suspended, on no link).
  struct Flow {
    Action* action;
    std::vector<std::uint32_t>* idle;  ///< where it rests: flows of its path that are not under way
    Event arrived;
    Rank from = 0, to = 0;
    Route route{};
  };

  std::uint32_t make_flow(Rank from, Rank to);
  void collect();
  void set_capacity(LinkId link);

  const Network& network_;
  LinkLoad link_load_;
  simgrid::s4u::Engine engine_;
  simgrid::kernel::resource::Model* model_ = nullptr;
  std::vector<simgrid::s4u::Host*> hosts_;  ///< by rank
  std::vector<simgrid::s4u::Link*> links_;
  std::vector<Flow> flows_;
  std::unordered_map<const Action*, std::uint32_t> flow_of_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> idle_;  ///< by path
  std::vector<std::uint32_t> finished_;
  std::function<void(Event)> happened_;
};

}  // namespace meshattn::sim
