#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn::gpu {

/// The lane's stream waits until an earlier op of another stream of the rank has ended.
struct Wait {
  Lane lane;
  OpId after;

  friend bool operator==(const Wait&, const Wait&) = default;
};

/// Launches the kernels of a compute op.
struct Launch {
  Lane lane;
  OpId op;

  friend bool operator==(const Launch&, const Launch&) = default;
};

/// A group of sends and receives on the lane's communicator. All its messages make progress together.
struct Group {
  Lane lane;
  OpId op;
  std::uint32_t first_message;
  std::uint32_t message_count;

  friend bool operator==(const Group&, const Group&) = default;
};

/// Records an event at the end of an op, for other streams to wait for.
struct Record {
  Lane lane;
  OpId op;

  friend bool operator==(const Record&, const Record&) = default;
};

using Command = std::variant<Wait, Launch, Group, Record>;

/// A send or a receive of bytes that are contiguous on both ranks. Messages have no tags: the k-th receive from a rank
/// on a communicator gets that rank's k-th send.
struct Message {
  enum class Direction : std::uint8_t { kSend, kReceive };
  Direction direction;
  Rank peer;
  TransferId transfer;
  std::uint64_t offset;       ///< in the arena of this rank
  std::uint64_t peer_offset;  ///< in the arena of its peer
  std::uint64_t bytes;
};

/// The commands that a host issues for one rank, in this order and without waiting for the device. Each lane has a
/// stream, which runs its commands in order; each op that another stream waits for has an event. The waits are
/// sufficient for every order that the schedule asks for, and each is necessary.
struct Program {
  Rank rank = 0;
  std::vector<Command> commands;
  std::vector<Message> messages;

  [[nodiscard]] std::span<const Message> messages_of(const Group& group) const {
    return {messages.data() + group.first_message, group.message_count};
  }
};

/// The most streams of a rank. A rank has one communicator less, for the compute lane has none.
inline constexpr int kMaxStreams = 64;

/// The programs of all ranks of a schedule that `verify` has proved and whose memory is assigned. An event is recorded
/// before a stream waits for it (CUDA ignores a wait for an event that was never recorded), and a stream waits for an
/// event at most once.
/// @throws InvalidSchedule if memory is not assigned or not aligned, or there are too many lanes
[[nodiscard]] std::vector<Program> issue(const Schedule& schedule);

/// One command per line, followed by the messages of a group.
[[nodiscard]] std::string to_text(const Program& program, const Schedule& schedule);

}  // namespace meshattn::gpu
