#pragma once

#include <cstdint>
#include <span>

#include "core/schedule/schedule.h"
#include "gpu/issue/issue.h"

namespace meshattn::gpu {

/// A point of a stream that other streams may wait for: an op begins, has received all its messages, or has ended.
struct Mark {
  enum class Point : std::uint8_t { kBegin, kReceived, kEnd };
  OpId op;
  Point point;

  friend auto operator<=>(const Mark&, const Mark&) = default;
};

/// Devices with a stream for each lane of each rank. A stream executes its commands in order. None of these calls waits
/// for a device.
class Device {
 public:
  virtual ~Device() = default;

  /// Launches the kernels of a compute op.
  virtual void launch(Rank rank, Lane lane, OpId op) = 0;
  /// Copies a message that this rank receives from its peer's arena.
  virtual void copy(Rank rank, Lane lane, const Message& message) = 0;
  /// Issues a group of sends and receives on the lane's communicator.
  virtual void exchange(Rank rank, Lane lane, OpId op, std::span<const Message> messages) = 0;
  /// Records a mark of an op of this rank: for streams that wait for it, and for its time.
  virtual void mark(Rank rank, Lane lane, Mark mark) = 0;
  /// Lets the stream wait for a mark of any rank, which must have been recorded on another stream before.
  virtual void wait(Rank rank, Lane lane, Mark mark) = 0;
};

/// Issues one rank's program; exchanges are groups of messages.
void issue_groups(const Program& program, Device& device);

/// Issues the programs of all ranks of a process; exchanges are copies. The receiver copies a message once both
/// exchanges have begun, and an exchange ends when all its messages have been copied. Commands of different ranks
/// alternate so that a mark is recorded before a stream waits for it.
/// @throws InvalidSchedule naming the op at which each rank is stuck, if they wait for each other
void issue_copies(const Schedule& schedule, std::span<const Program> programs, Device& device);

}  // namespace meshattn::gpu
