#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/schedule/dependencies.h"
#include "core/schedule/schedule.h"

namespace meshattn::cpu {

/// The ops of one lane of one rank, and how many of them have ended.
struct LaneProgress {
  Rank rank;
  Lane lane;
  std::vector<OpId> ops;
  std::size_t next = 0;  ///< first op that has not ended
  bool started = false;  ///< whether ops[next] is an exchange that has started

  [[nodiscard]] bool done() const { return next == ops.size(); }
};

/// All lanes that have ops, rank after rank.
[[nodiscard]] std::vector<LaneProgress> lanes_of(const Schedule& schedule);

/// The first few lanes that are not done, each with the op at which it waits, in words.
[[nodiscard]] std::string describe_deadlock(std::span<const LaneProgress> lanes);

/// Which ops and transfers have started and ended, and which may therefore follow.
class Progress {
 public:
  explicit Progress(const Schedule& schedule)
      : schedule_(schedule),
        dependencies_(schedule),
        ended_(schedule.ops.size()),
        started_exchanges_(schedule.transfers.size()),
        is_copied_(schedule.transfers.size()) {}

  /// Whether all ops of other lanes that an op waits for have ended.
  [[nodiscard]] bool may_start(OpId op) const {
    for (OpId before : dependencies_.of(op))
      if (!ended_[before]) return false;
    return true;
  }
  /// An exchange with this transfer starts. @returns whether its other exchange has started too: the transfer is then
  /// to be copied.
  [[nodiscard]] bool start(TransferId t) { return ++started_exchanges_[t] == 2; }
  void set_copied(TransferId t) { is_copied_[t] = true; }
  [[nodiscard]] bool may_end(const Exchange& exchange) const {
    for (TransferId t : schedule_.transfers_of(exchange))
      if (!is_copied_[t]) return false;
    return true;
  }
  void end(OpId op) { ended_[op] = true; }

 private:
  const Schedule& schedule_;
  Dependencies dependencies_;
  std::vector<char> ended_;              ///< by op
  std::vector<char> started_exchanges_;  ///< by transfer: 0, 1 or 2
  std::vector<char> is_copied_;          ///< by transfer
};

}  // namespace meshattn::cpu
