#include "tests/gpu/device/mock_device.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstring>

#include "gpu/kernels/value_conversion.h"

namespace meshattn::testing {

namespace {

constexpr std::byte kNotANumber{0xFF};  // NaN in every dtype

}  // namespace

MockDevice::MockDevice(const Schedule& s, const cpu::Tensors& given, Kernel kernel, std::uint64_t scratch)
    : s_(s),
      kernel_(std::move(kernel)),
      sender_(s.transfers.size()),
      first_maker_(s.values.size(), kNone),
      arrived_(s.transfers.size()) {
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    calls_.emplace_back(s, rank);
    arenas_.emplace_back(s.peak_bytes + scratch, kNotANumber);
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      for_each_operand(
          s, s.ops[op], rank, [](ValueId) {}, [&](ValueId v) { first_maker_[v] = std::min(first_maker_[v], op); });
      if (const auto* exchange = std::get_if<Exchange>(&s.ops[op]))
        for (TransferId t : s.transfers_of(*exchange))
          if (s.values[s.transfers[t].source].rank == rank) sender_[t] = op;
    }
  }
  for (ValueId v : s.inputs) std::ranges::copy(gpu::input_bytes(s, v, &given), arena(s.values[v].rank) + s.offset[v]);
}

void MockDevice::launch(Rank rank, Lane lane, OpId op) {
  streams_[{rank, lane}].steps.emplace_back(Work{[this, rank, op] {
    for (const gpu::Call& call : calls_[static_cast<std::size_t>(rank)].of(op)) kernel_(call, arena(rank));
  }});
}

void MockDevice::copy(Rank rank, Lane lane, const gpu::Message& m) {
  streams_[{rank, lane}].steps.emplace_back(Work{[=, this] {
    if (!passed_.contains({sender_[m.transfer], gpu::Mark::Point::kBegin}))
      problem_ = fmt::format("transfer {} is copied before its sender has begun", m.transfer);
    std::memcpy(arena(rank) + m.offset, arena(m.peer) + m.peer_offset, m.bytes);
    arrived_[m.transfer] += m.bytes;
  }});
}

void MockDevice::exchange(Rank rank, Lane lane, OpId, std::span<const gpu::Message> messages) {
  streams_[{rank, lane}].steps.emplace_back(Messages{{messages.begin(), messages.end()}});
}

void MockDevice::mark(Rank rank, Lane lane, gpu::Mark mark) {
  given_.insert(mark);
  streams_[{rank, lane}].steps.emplace_back(Work{[this, rank, mark] { pass(rank, mark); }});
}

void MockDevice::wait(Rank rank, Lane lane, gpu::Mark mark) {
  if (!given_.contains(mark)) problem_ = fmt::format("rank {} waits for op {} before it is issued", rank, mark.op);
  if (waits_++ != left_out_) streams_[{rank, lane}].steps.emplace_back(Wait{mark});
}

void MockDevice::pass(Rank rank, gpu::Mark mark) {
  passed_.insert(mark);
  if (mark.point == gpu::Mark::Point::kBegin)
    for_each_operand(
        s_, s_.ops[mark.op], rank, [](ValueId) {},
        [&](ValueId v) {
          if (first_maker_[v] == mark.op) std::fill_n(arena(rank) + s_.offset[v], s_.bytes(v), kNotANumber);
        });
  const auto* exchange = std::get_if<Exchange>(&s_.ops[mark.op]);
  if (mark.point == gpu::Mark::Point::kEnd && exchange != nullptr)
    for (TransferId t : s_.transfers_of(*exchange))
      if (arrived_[t] != s_.bytes(s_.transfers[t].made))
        problem_ = fmt::format("an exchange ends before its transfer {} has arrived", t);
}

std::string MockDevice::run(std::mt19937& random) {
  while (problem_.empty()) {
    std::vector<std::pair<const StreamId, Stream>*> able;
    for (auto& stream : streams_)
      if (may_step(stream.second)) able.push_back(&stream);
    if (able.empty()) break;
    auto& [id, stream] = *able[std::uniform_int_distribution<std::size_t>(0, able.size() - 1)(random)];
    step(id, stream);
  }
  for (const auto& [id, stream] : streams_)
    if (problem_.empty() && stream.next < stream.steps.size())
      problem_ = fmt::format("rank {} is stuck on lane {}", id.first, id.second);
  return problem_;
}

bool MockDevice::may_step(const Stream& stream) const {
  if (stream.next == stream.steps.size()) return false;
  if (const auto* wait = std::get_if<Wait>(&stream.steps[stream.next])) return passed_.contains(wait->mark);
  return !stream.begun || stream.unmatched == 0;
}

void MockDevice::step(const StreamId& id, Stream& stream) {
  const Step& step = stream.steps[stream.next];
  if (const auto* group = std::get_if<Messages>(&step); group != nullptr && !stream.begun) {
    stream.begun = true;
    stream.unmatched = group->messages.size();
    for (const gpu::Message& m : group->messages) {
      const bool sends = m.direction == gpu::Message::Direction::kSend;
      const Channel channel{id.second, sends ? id.first : m.peer, sends ? m.peer : id.first};
      (sends ? sends_ : receives_)[channel].push_back({&stream, m});
      match(channel);
    }
    return;
  }
  if (const auto* work = std::get_if<Work>(&step)) work->run();
  stream.begun = false;
  ++stream.next;
}

/// Delivers the messages that have begun at both ends, in order.
void MockDevice::match(const Channel& channel) {
  std::vector<End>&sends = sends_[channel], &receives = receives_[channel];
  while (!sends.empty() && !receives.empty()) {
    const gpu::Message &sent = sends.front().message, &received = receives.front().message;
    if (sent.bytes != received.bytes || sent.transfer != received.transfer) {
      problem_ = fmt::format("{} bytes of transfer {} meet {} of transfer {}", sent.bytes, sent.transfer,
                             received.bytes, received.transfer);
      return;
    }
    const auto [lane, from, to] = channel;
    std::memcpy(arena(to) + received.offset, arena(from) + sent.offset, sent.bytes);
    arrived_[received.transfer] += received.bytes;
    --sends.front().stream->unmatched;
    --receives.front().stream->unmatched;
    sends.erase(sends.begin());
    receives.erase(receives.begin());
  }
}

cpu::Tensors MockDevice::outputs() const {
  cpu::Tensors outputs;
  for (ValueId v : s_.outputs)
    gpu::read_output(s_, v,
                     std::span(arenas_[static_cast<std::size_t>(s_.values[v].rank)]).subspan(s_.offset[v], s_.bytes(v)),
                     outputs);
  return outputs;
}

}  // namespace meshattn::testing
