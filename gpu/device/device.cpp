#include "gpu/device/device.h"

#include <algorithm>
#include <iterator>

#include "core/base/error.h"
#include "gpu/issue/unfinished_ops.h"

namespace meshattn::gpu {

namespace {

using Point = Mark::Point;

/// The exchanges that send and receive a transfer, or kNone.
struct Ends {
  OpId sender = kNone;
  OpId receiver = kNone;
};

class CopyIssuer {
 public:
  CopyIssuer(const Schedule& s, std::span<const Program> programs, Device& device)
      : s_(s),
        programs_(programs),
        device_(device),
        ends_(s.transfers.size()),
        next_(programs.size()),
        progress_(s.ops.size()),
        met_(programs.size()),
        left_(programs.size()) {
    for (const Program& program : programs)
      for (const Command& command : program.commands)
        if (const auto* group = std::get_if<Group>(&command))
          for (TransferId t : transfers_of(group->op))
            (sends(program.rank, t) ? ends_[t].sender : ends_[t].receiver) = group->op;
  }

  void run() {
    bool any = true;
    while (any) {
      any = false;
      for (std::size_t i = 0; i < programs_.size(); ++i)
        while (step(i)) any = true;
    }
    require_all_ended();
  }

 private:
  enum class Progress : std::uint8_t { kNone, kBegun, kReceived };

  [[nodiscard]] std::span<const TransferId> transfers_of(OpId op) const {
    return s_.transfers_of(std::get<Exchange>(s_.ops[op]));
  }
  [[nodiscard]] bool sends(Rank rank, TransferId t) const { return s_.values[s_.transfers[t].source].rank == rank; }

  /// Issues the next command of the i-th program, or a part of it. @returns whether anything was issued
  bool step(std::size_t i) {
    const Program& program = programs_[i];
    if (next_[i] == program.commands.size()) return false;
    const Command& command = program.commands[next_[i]];
    if (const auto* group = std::get_if<Group>(&command)) return step(i, program.rank, *group);
    if (const auto* wait = std::get_if<Wait>(&command))
      device_.wait(program.rank, wait->lane, {wait->after, Point::kEnd});
    if (const auto* launch = std::get_if<Launch>(&command)) {
      device_.mark(program.rank, launch->lane, {launch->op, Point::kBegin});
      device_.launch(program.rank, launch->lane, launch->op);
      device_.mark(program.rank, launch->lane, {launch->op, Point::kEnd});
    }
    ++next_[i];
    return true;
  }

  bool step(std::size_t i, Rank rank, const Group& group) {
    bool any = progress_[group.op] == Progress::kNone;
    if (any) {
      device_.mark(rank, group.lane, {group.op, Point::kBegin});
      progress_[group.op] = Progress::kBegun;
      left_[i].clear();
      met_[i].clear();
      std::ranges::copy_if(programs_[i].messages_of(group), std::back_inserter(left_[i]),
                           [](const Message& m) { return m.direction == Message::Direction::kReceive; });
    }
    if (progress_[group.op] == Progress::kBegun) {
      any |= std::erase_if(left_[i], [&](const Message& m) { return receive(i, group.lane, m); }) > 0;
      if (left_[i].empty()) {
        device_.mark(rank, group.lane, {group.op, Point::kReceived});
        progress_[group.op] = Progress::kReceived;
        any = true;
      }
    }
    if (progress_[group.op] != Progress::kReceived || !all_sent(rank, group.op)) return any;
    wait_for_receivers(rank, group);
    device_.mark(rank, group.lane, {group.op, Point::kEnd});
    ++next_[i];
    return true;
  }

  /// Copies a message if its sender's exchange has begun. @returns whether it has
  bool receive(std::size_t i, Lane lane, const Message& message) {
    const Rank rank = programs_[i].rank;
    const OpId sender = ends_[message.transfer].sender;
    if (sender == kNone || progress_[sender] == Progress::kNone) return false;
    if (std::ranges::find(met_[i], sender) == met_[i].end()) {
      device_.wait(rank, lane, {sender, Point::kBegin});
      met_[i].push_back(sender);
    }
    device_.copy(rank, lane, message);
    return true;
  }

  [[nodiscard]] bool all_sent(Rank rank, OpId op) const {
    return std::ranges::all_of(transfers_of(op), [&](TransferId t) {
      const OpId receiver = ends_[t].receiver;
      return !sends(rank, t) || (receiver != kNone && progress_[receiver] == Progress::kReceived);
    });
  }

  void wait_for_receivers(Rank rank, const Group& group) {
    std::vector<OpId> receivers;
    for (TransferId t : transfers_of(group.op))
      if (sends(rank, t)) receivers.push_back(ends_[t].receiver);
    std::ranges::sort(receivers);
    receivers.erase(std::unique(receivers.begin(), receivers.end()), receivers.end());
    for (OpId receiver : receivers) device_.wait(rank, group.lane, {receiver, Point::kReceived});
  }

  void require_all_ended() const {
    std::vector<Rank> stuck;
    std::vector<bool> left(s_.ops.size());
    for (std::size_t i = 0; i < programs_.size(); ++i) {
      const auto commands = std::span(programs_[i].commands).subspan(next_[i]);
      if (!commands.empty()) stuck.push_back(programs_[i].rank);
      for (const Command& command : commands)
        if (const auto* group = std::get_if<Group>(&command)) left[group->op] = true;
    }
    if (!stuck.empty())
      throw InvalidSchedule("ranks wait for each other: " +
                            unfinished_ops_text(s_, stuck, [&](OpId op) { return !left[op]; }));
  }

  const Schedule& s_;
  std::span<const Program> programs_;
  Device& device_;
  std::vector<Ends> ends_;                  ///< by transfer
  std::vector<std::size_t> next_;           ///< by program: its next command
  std::vector<Progress> progress_;          ///< by op; exchanges only
  std::vector<std::vector<OpId>> met_;      ///< by program: exchanges for whose begin its exchange has waited
  std::vector<std::vector<Message>> left_;  ///< by program: messages that its current exchange has not received
};

}  // namespace

void issue_groups(const Program& program, Device& device) {
  const Rank rank = program.rank;
  for (const Command& command : program.commands) {
    if (const auto* wait = std::get_if<Wait>(&command)) device.wait(rank, wait->lane, {wait->after, Point::kEnd});
    const auto marked = [&](Lane lane, OpId op, auto&& issue) {
      device.mark(rank, lane, {op, Point::kBegin});
      issue();
      device.mark(rank, lane, {op, Point::kEnd});
    };
    if (const auto* launch = std::get_if<Launch>(&command))
      marked(launch->lane, launch->op, [&] { device.launch(rank, launch->lane, launch->op); });
    if (const auto* group = std::get_if<Group>(&command))
      marked(group->lane, group->op,
             [&] { device.exchange(rank, group->lane, group->op, program.messages_of(*group)); });
  }
}

void issue_copies(const Schedule& schedule, std::span<const Program> programs, Device& device) {
  CopyIssuer(schedule, programs, device).run();
}

}  // namespace meshattn::gpu
