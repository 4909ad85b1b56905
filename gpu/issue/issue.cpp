#include "gpu/issue/issue.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/schedule/dependencies.h"
#include "core/schedule/passes/arena.h"
#include "gpu/kernels/layout.h"

namespace meshattn::gpu {

namespace {

/// A vector clock: by lane, the last op known to have ended, or kNone.
using VectorClock = std::vector<OpId>;

bool is_known(const VectorClock& clock, Lane lane, OpId op) { return clock[lane] != kNone && clock[lane] >= op; }

void learn(VectorClock& clock, const VectorClock& from) {
  for (std::size_t lane = 0; lane < clock.size(); ++lane)
    if (from[lane] != kNone && (clock[lane] == kNone || clock[lane] < from[lane])) clock[lane] = from[lane];
}

/// Writes the program of one rank. A stream that waits for an op learns the vector clock of the op's end, so that a
/// wait which an earlier wait implies is left out.
class Issuer {
 public:
  Issuer(const Schedule& schedule, const Dependencies& dependencies, Rank rank)
      : s_(schedule), dependencies_(dependencies), begin_(schedule.ops_begin(rank)) {
    program_.rank = rank;
    const auto lanes = static_cast<std::size_t>(schedule.lanes());
    known_.assign(lanes, VectorClock(lanes, kNone));
    at_end_of_.resize(schedule.ops_end(rank) - begin_);
    awaited_.resize(at_end_of_.size());
  }

  Program run() {
    for (OpId op = begin_; op < begin_ + at_end_of_.size(); ++op) add(op);
    std::erase_if(program_.commands, [&](const Command& command) {
      const auto* record = std::get_if<Record>(&command);
      return record != nullptr && !awaited_[record->op - begin_];
    });
    return std::move(program_);
  }

 private:
  void add(OpId op) {
    const Lane lane = s_.lane(s_.ops[op]);
    VectorClock& known = known_[lane];
    // The latest first: its vector clock may imply the others.
    std::vector<OpId> after(dependencies_.of(op).begin(), dependencies_.of(op).end());
    std::ranges::sort(after, std::greater{});
    for (OpId before : after) {
      const Lane other = s_.lane(s_.ops[before]);
      if (is_known(known, other, before)) continue;
      program_.commands.emplace_back(Wait{lane, before});
      awaited_[before - begin_] = true;
      learn(known, at_end_of_[before - begin_]);
    }
    if (const auto* exchange = std::get_if<Exchange>(&s_.ops[op]))
      add_group(op, lane, *exchange);
    else
      program_.commands.emplace_back(Launch{lane, op});
    known[lane] = op;
    at_end_of_[op - begin_] = known;
    program_.commands.emplace_back(Record{lane, op});
  }

  void add_group(OpId op, Lane lane, const Exchange& exchange) {
    const auto first = static_cast<std::uint32_t>(program_.messages.size());
    for (TransferId t : s_.transfers_of(exchange)) {
      const Rank from = s_.values[s_.transfers[t].source].rank, to = s_.values[s_.transfers[t].made].rank;
      const bool sends = from == program_.rank;
      for (const ByteRun& run : byte_runs_of(s_, t))
        program_.messages.push_back(
            sends ? Message{Message::Direction::kSend, to, t, run.source, run.made, run.bytes}
                  : Message{Message::Direction::kReceive, from, t, run.made, run.source, run.bytes});
    }
    const auto count = static_cast<std::uint32_t>(program_.messages.size()) - first;
    program_.commands.emplace_back(Group{lane, op, first, count});
  }

  const Schedule& s_;
  const Dependencies& dependencies_;
  OpId begin_;
  Program program_;
  std::vector<VectorClock> known_;      ///< by lane: the clock of its stream at this point
  std::vector<VectorClock> at_end_of_;  ///< by op of the rank
  std::vector<bool> awaited_;           ///< by op of the rank: whether a stream waits for its event
};

}  // namespace

std::vector<Program> issue(const Schedule& s) {
  if (s.offset.size() != s.values.size())
    throw InvalidSchedule(fmt::format("{} of {} values have an offset in memory", s.offset.size(), s.values.size()));
  for (ValueId v = 0; v < s.values.size(); ++v)
    if (s.offset[v] % Arena::kAlignment != 0)
      throw InvalidSchedule(
          fmt::format("value {} has offset {}: devices need multiples of {}", v, s.offset[v], Arena::kAlignment));
  if (s.lanes() > kMaxStreams)
    throw InvalidSchedule(fmt::format("{} lanes: a rank has at most {} streams", s.lanes(), kMaxStreams));
  const Dependencies dependencies(s);
  std::vector<Program> programs;
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) programs.push_back(Issuer(s, dependencies, rank).run());
  return programs;
}

std::string to_text(const Program& program, const Schedule& s) {
  std::string text = fmt::format("rank {}\n", program.rank);
  const OpId first = s.ops_begin(program.rank);
  for (const Command& command : program.commands) {
    if (const auto* wait = std::get_if<Wait>(&command))
      text += fmt::format("  stream {} waits for op {}\n", wait->lane, wait->after - first);
    if (const auto* launch = std::get_if<Launch>(&command))
      text +=
          fmt::format("  stream {} launches op {}: {}\n", launch->lane, launch->op - first, name_of(s.ops[launch->op]));
    if (const auto* record = std::get_if<Record>(&command))
      text += fmt::format("  stream {} records op {}\n", record->lane, record->op - first);
    if (const auto* group = std::get_if<Group>(&command)) {
      text += fmt::format("  stream {} groups op {}:\n", group->lane, group->op - first);
      for (const Message& m : program.messages_of(*group))
        text += fmt::format("    {} rank {}: {} bytes at {}, {}\n",
                            m.direction == Message::Direction::kSend ? "send to" : "receive from", m.peer, m.bytes,
                            m.offset, name_of(s.values[s.transfers[m.transfer].made].tensor));
    }
  }
  return text;
}

}  // namespace meshattn::gpu
