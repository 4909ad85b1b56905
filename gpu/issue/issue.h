#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn::gpu {

/// A stream waits until an earlier op of another stream of the rank has ended.
struct Wait {
  Lane lane;
  OpId after;

  friend bool operator==(const Wait&, const Wait&) = default;
};

/// The kernels of a compute op.
struct Launch {
  Lane lane;
  OpId op;

  friend bool operator==(const Launch&, const Launch&) = default;
};

/// A grouped send/receive on the communicator of the lane: all its messages make progress together.
struct Group {
  Lane lane;
  OpId op;
  std::uint32_t first_message;
  std::uint32_t message_count;

  friend bool operator==(const Group&, const Group&) = default;
};

/// Marks the end of an op on its stream, for others to wait for.
struct Record {
  Lane lane;
  OpId op;

  friend bool operator==(const Record&, const Record&) = default;
};

using Command = std::variant<Wait, Launch, Group, Record>;

/// A send or a receive of a run of bytes that is in one piece on both ranks. Messages between two ranks have no tag: of
/// a communicator the k-th send from one to the other is what the k-th receive gets.
struct Message {
  enum class Direction : std::uint8_t { kSend, kReceive };
  Direction direction;
  Rank peer;
  TransferId transfer;
  std::uint64_t offset;       ///< in the arena of this rank
  std::uint64_t peer_offset;  ///< in that of its peer
  std::uint64_t bytes;
};

/// What a host does for one rank, in this order and without waiting for the device: a stream for each lane, an event
/// for each op that another stream waits for. Streams run what they are given in order. Nothing else is needed to keep
/// every order that the schedule asks for, and nothing less does.
struct Program {
  Rank rank = 0;
  std::vector<Command> commands;
  std::vector<Message> messages;

  [[nodiscard]] std::span<const Message> messages_of(const Group& group) const {
    return {messages.data() + group.first_message, group.message_count};
  }
};

/// Streams of a rank, and so communicators less one.
inline constexpr int kMaxStreams = 64;

/// The programs of all ranks of a schedule that `verify` has proved and that has its memory assigned. An event is
/// recorded before it is waited for, as a device needs it (a wait for one that never was recorded is no wait), and is
/// waited for once a stream at most.
/// @throws InvalidSchedule if memory is not assigned or not aligned, or there are too many lanes.
[[nodiscard]] std::vector<Program> issue(const Schedule& schedule);

/// One command a line, a group's messages below it.
[[nodiscard]] std::string to_text(const Program& program, const Schedule& schedule);

}  // namespace meshattn::gpu
