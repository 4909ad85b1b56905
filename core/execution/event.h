#pragma once

#include <cstdint>

namespace meshattn {

/// What the engine asks its clock to deliver at a given time.
struct Event {
  enum class Kind : std::uint8_t {
    kComputeEnded,  ///< the op on a rank's compute lane has ended; id: the rank
    kMayStart,  ///< something may start on a rank: its host has issued it, or where exchanges are late all tiles of its
                ///< kernel are on SMs, or all that arrives at this moment has arrived; id: the rank
    kStartupEnded,  ///< the start-up of a transfer has passed; id: the transfer
    kArrived,       ///< its last byte has; id: the transfer
  };
  Kind kind;
  std::uint32_t id;
};

}  // namespace meshattn
