#pragma once

#include <span>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn {

/// For each op, the ops of *other* lanes of its rank that must have ended before it starts: the makers of the values
/// that it reads and the ops of its reuse waits; of each lane only the last. Executors obey these and the order of each
/// lane.
class Dependencies {
 public:
  explicit Dependencies(const Schedule& schedule);

  [[nodiscard]] std::span<const OpId> of(OpId op) const {
    return {after_.data() + first_[op], after_.data() + first_[op + 1]};
  }

 private:
  std::vector<std::uint32_t> first_;
  std::vector<OpId> after_;
};

}  // namespace meshattn
