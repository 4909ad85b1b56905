#pragma once

#include <cstdint>

namespace meshattn {

/// Something that the engine asks its clock to deliver in time.
struct Event {
  enum class Kind : std::uint8_t {
    kComputeEnded,  ///< the op on a rank's compute lane ends; id: the rank
    kMayStart,      ///< a rank's ops may start: its host issues one, its kernel's last wave begins, or transfers that
                    ///< end at this moment have all ended; id: the rank
    kStartupEnded,  ///< the start-up of a transfer has passed; id: the transfer
    kArrived,       ///< the last byte of a transfer has arrived; id: the transfer
  };
  Kind kind;
  std::uint32_t id;
};

}  // namespace meshattn
