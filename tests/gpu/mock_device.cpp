#include "tests/gpu/mock_device.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "core/cpu/machine.h"

namespace meshattn::testing {

namespace {

struct Stream {
  Rank rank;
  std::vector<gpu::Command> commands;
  std::size_t next = 0;
  bool begun = false;         ///< commands[next] is a group that has begun
  std::size_t unmatched = 0;  ///< messages of that group
};

class MockDevices {
 public:
  MockDevices(const Schedule& s, const std::vector<gpu::Program>& programs, const cpu::Tensors& given,
              std::mt19937& random)
      : s_(s), programs_(programs), machine_(s, given), random_(random), left_(s.transfers.size()) {
    for (const gpu::Program& program : programs) enqueue(program);
    for (const gpu::Program& program : programs)
      for (const gpu::Message& m : program.messages)
        if (m.way == gpu::Message::Way::kReceive) left_[m.transfer] += m.bytes;
  }

  MockRun run() {
    while (problem_.empty()) {
      std::vector<Stream*> able;
      for (Stream& stream : streams_)
        if (may_step(stream)) able.push_back(&stream);
      if (able.empty()) break;
      step(*able[std::uniform_int_distribution<std::size_t>(0, able.size() - 1)(random_)]);
    }
    for (const Stream& stream : streams_)
      if (problem_.empty() && stream.next < stream.commands.size())
        problem_ = fmt::format("rank {} is stuck at command {} of a stream", stream.rank, stream.next);
    return {machine_.outputs(), problem_};
  }

 private:
  using Channel = std::tuple<Lane, Rank, Rank>;  ///< communicator, from, to
  struct End {
    Stream* stream;
    const gpu::Message* message;
  };

  void enqueue(const gpu::Program& program) {
    std::set<OpId> recorded;
    std::vector<Stream> of_lane(static_cast<std::size_t>(s_.lanes()));
    for (const gpu::Command& command : program.commands) {
      const Lane lane = std::visit([](const auto& c) { return c.lane; }, command);
      if (const auto* wait = std::get_if<gpu::Wait>(&command); wait != nullptr && !recorded.contains(wait->after))
        problem_ = fmt::format("rank {} waits for op {}, which was not recorded before", program.rank, wait->after);
      if (const auto* record = std::get_if<gpu::Record>(&command)) recorded.insert(record->op);
      of_lane[lane].rank = program.rank;
      of_lane[lane].commands.push_back(command);
    }
    for (Stream& stream : of_lane)
      if (!stream.commands.empty()) streams_.push_back(std::move(stream));
  }

  [[nodiscard]] bool may_step(const Stream& stream) const {
    if (stream.next == stream.commands.size()) return false;
    if (const auto* wait = std::get_if<gpu::Wait>(&stream.commands[stream.next])) return ended_.contains(wait->after);
    return !stream.begun || stream.unmatched == 0;
  }

  void step(Stream& stream) {
    const gpu::Command& command = stream.commands[stream.next];
    if (const auto* group = std::get_if<gpu::Group>(&command); group != nullptr && !stream.begun)
      return begin(stream, *group);
    if (const auto* record = std::get_if<gpu::Record>(&command)) ended_.insert(record->op);
    if (const auto* launch = std::get_if<gpu::Launch>(&command)) {
      machine_.begin(stream.rank, launch->op);
      machine_.compute(launch->op);
    }
    stream.begun = false;
    ++stream.next;
  }

  void begin(Stream& stream, const gpu::Group& group) {
    const gpu::Program& program = programs_[static_cast<std::size_t>(stream.rank)];
    machine_.begin(stream.rank, group.op);
    stream.begun = true;
    stream.unmatched = group.message_count;
    for (const gpu::Message& m : program.messages_of(group)) {
      const bool sends = m.way == gpu::Message::Way::kSend;
      const Channel channel{group.lane, sends ? stream.rank : m.peer, sends ? m.peer : stream.rank};
      (sends ? sends_ : receives_)[channel].push_back({&stream, &m});
      match(channel);
    }
  }

  /// Messages that have begun at both ends arrive, in the order in which they were sent and received.
  void match(const Channel& channel) {
    std::vector<End>&sends = sends_[channel], &receives = receives_[channel];
    while (!sends.empty() && !receives.empty()) {
      const gpu::Message &sent = *sends.front().message, &received = *receives.front().message;
      if (sent.bytes != received.bytes || sent.transfer != received.transfer)
        problem_ = fmt::format("{} bytes of transfer {} meet {} of transfer {}", sent.bytes, sent.transfer,
                               received.bytes, received.transfer);
      left_[received.transfer] -= received.bytes;
      if (left_[received.transfer] == 0) machine_.copy(received.transfer);
      --sends.front().stream->unmatched;
      --receives.front().stream->unmatched;
      sends.erase(sends.begin());
      receives.erase(receives.begin());
    }
  }

  const Schedule& s_;
  const std::vector<gpu::Program>& programs_;
  cpu::Machine<double> machine_;
  std::mt19937& random_;
  std::vector<Stream> streams_;
  std::set<OpId> ended_;
  std::map<Channel, std::vector<End>> sends_, receives_;
  std::vector<std::uint64_t> left_;  ///< by transfer: bytes that have not arrived
  std::string problem_;
};

}  // namespace

MockRun run_on_mock(const Schedule& schedule, const std::vector<gpu::Program>& programs, const cpu::Tensors& given,
                    std::mt19937& random) {
  return MockDevices(schedule, programs, given, random).run();
}

}  // namespace meshattn::testing
