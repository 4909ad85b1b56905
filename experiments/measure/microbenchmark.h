#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "core/schedule/schedule.h"

namespace meshattn {

// Schedules that are run to be timed. All have their memory.

/// A whole problem on one rank: dense attention.
[[nodiscard]] Schedule dense_schedule(Problem problem);

/// From a rank to another.
using Pair = std::pair<Rank, Rank>;

/// What ranks do at the same time. `verify` would refuse most of it: blocks are attended again and again.
struct Microbenchmark {
  AttentionShape shape;  ///< of one rank's tokens
  Mask mask = Mask::kFull;
  Pass pass = Pass::kForward;
  int attention_ops = 0;    ///< rank 0, one after the other, each into sums of its own
  int attention_ranks = 1;  ///< so many ranks do so, at once
  int combines = 0;         ///< rank 0 then, one after the other: its first two sums (backward: of dQ) into one
  std::span<const Pair> pairs = {};  ///< that exchange a KV at a time
  int exchanges = 0;                 ///< one after the other, on the one lane
  int pieces = 1;                    ///< of a chunk's KV: one of them is attended, and sent
  int whole = 0;                     ///< of the exchanges, so many first ones send all pieces
};

[[nodiscard]] Schedule schedule_of(const Microbenchmark& benchmark);

}  // namespace meshattn
