#pragma once

#include <cstdint>
#include <span>

#include "core/schedule/schedule.h"
#include "gpu/issue/issue.h"

namespace meshattn::gpu {

/// A point of a stream that others may wait for: `op` begins on it, has all that it receives, has ended.
struct Mark {
  enum class Point : std::uint8_t { kBegin, kReceived, kEnd };
  OpId op;
  Point point;

  friend auto operator<=>(const Mark&, const Mark&) = default;
};

/// What an executor asks of devices: each rank has a stream for each lane, which does what it is given in order; none
/// of these calls waits for the device.
class Device {
 public:
  virtual ~Device() = default;

  /// The kernels of a compute op.
  virtual void launch(Rank rank, Lane lane, OpId op) = 0;
  /// A message that this rank receives, from its peer's arena.
  virtual void copy(Rank rank, Lane lane, const Message& message) = 0;
  /// A grouped send/receive on the lane's communicator.
  virtual void exchange(Rank rank, Lane lane, OpId op, std::span<const Message> messages) = 0;
  /// The stream comes to a mark of an op of its rank: to be seen by those who wait and by who measures.
  virtual void mark(Rank rank, Lane lane, Mark mark) = 0;
  /// The stream waits for a mark, of any rank, that has been given to another stream before.
  virtual void wait(Rank rank, Lane lane, Mark mark) = 0;
};

/// Issues one rank's program to a device whose exchanges are groups of messages.
void issue_groups(const Program& program, Device& device);

/// Issues the programs of all ranks, which one process serves, with copies for their exchanges: the receiver copies
/// once its exchange and the sender's have begun, and both exchanges end when all their copies have. In one order over
/// all ranks, so that marks come before waits.
/// @throws InvalidSchedule naming the op at which each rank is stuck, if they cannot all go on.
void issue_copies(const Schedule& schedule, std::span<const Program> programs, Device& device);

}  // namespace meshattn::gpu
