#pragma once

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/schedule/schedule.h"

namespace meshattn::testing::interpreter {

/// The schedule does something wrong; what() says what.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void wrong(fmt::format_string<Args...> what, Args&&... args) {
  throw Wrong(fmt::format(what, std::forward<Args>(args)...));
}

/// One end of a transfer, as listed by one rank.
struct End {
  OpId op;
  TransferId transfer;
  bool sends;
  std::size_t partner = SIZE_MAX;  ///< the end that the order of sends and receives matches it with
};

/// The ops of one lane of one rank, in order.
struct LaneList {
  Rank rank;
  Lane lane;
  std::vector<OpId> ops;
};

/// A schedule prepared for interpretation: everything that is the same in all runs.
struct Program {
  /// @throws Wrong if an op uses a value of another rank, or a value is outside the arena.
  explicit Program(const Schedule& schedule);

  const Schedule& s;
  std::vector<LaneList> lanes;
  std::vector<Rank> rank_of;                       ///< by op
  std::vector<std::vector<OpId>> after;            ///< by op: ops that must have ended before it starts
  std::vector<std::vector<ValueId>> reads, makes;  ///< by op
  std::vector<End> ends;
  std::vector<std::vector<std::size_t>> ends_of;  ///< by op
  std::vector<std::uint64_t> offset, bytes;       ///< by value
  std::vector<std::uint64_t> arena;               ///< by rank

 private:
  void list_op(Rank rank, OpId op, std::map<ValueId, std::vector<OpId>>& makers);
  void match_ends();
  void assign_bytes();
};

}  // namespace meshattn::testing::interpreter
