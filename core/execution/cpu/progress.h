#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/schedule/dependencies.h"
#include "core/schedule/schedule.h"

namespace meshattn::cpu {

/// The ops of one lane of one rank, and how far they are.
struct LaneProgress {
  Rank rank;
  Lane lane;
  std::vector<OpId> ops;
  std::size_t next = 0;  ///< first op that has not ended
  bool started = false;  ///< ops[next] is an exchange that has started

  [[nodiscard]] bool done() const { return next == ops.size(); }
};

/// Every lane that has ops, rank after rank.
[[nodiscard]] std::vector<LaneProgress> lanes_of(const Schedule& schedule);

/// What is stuck, in words: the first few lanes that are not done, with the op that each waits at.
[[nodiscard]] std::string describe_deadlock(std::span<const LaneProgress> lanes);

/// What has started and ended, and what may therefore follow. Knows neither threads nor numbers.
class Progress {
 public:
  explicit Progress(const Schedule& schedule)
      : schedule_(schedule),
        dependencies_(schedule),
        ended_(schedule.ops.size()),
        sides_(schedule.transfers.size()),
        copied_(schedule.transfers.size()) {}

  /// Whether all ops of other lanes that it waits for have ended.
  [[nodiscard]] bool may_start(OpId op) const {
    for (OpId before : dependencies_.of(op))
      if (!ended_[before]) return false;
    return true;
  }
  /// An exchange with this transfer has started. @returns whether the other one already had: now it is to be copied.
  [[nodiscard]] bool start(TransferId t) { return ++sides_[t] == 2; }
  void copied(TransferId t) { copied_[t] = true; }
  [[nodiscard]] bool may_end(const Exchange& exchange) const {
    for (TransferId t : schedule_.transfers_of(exchange))
      if (!copied_[t]) return false;
    return true;
  }
  void end(OpId op) { ended_[op] = true; }

 private:
  const Schedule& schedule_;
  Dependencies dependencies_;
  std::vector<char> ended_;
  std::vector<char> sides_;
  std::vector<char> copied_;
};

}  // namespace meshattn::cpu
