#pragma once

#include <span>
#include <utility>

#include "core/schedule/schedule.h"

namespace meshattn {

/// A sending and a receiving rank.
using Pair = std::pair<Rank, Rank>;

/// Ops that run at the same time on some ranks, for their times. `verify` would refuse most of it: blocks are attended
/// again and again.
struct Microbenchmark {
  AttentionShape shape;  ///< of one rank's tokens
  Mask mask = Mask::kFull;
  Pass pass = Pass::kForward;
  int attention_ops = 0;             ///< one after the other, each with an accumulator of its own
  int attention_ranks = 1;           ///< ranks that run these ops, all at once
  int combines = 0;                  ///< then, on rank 0: its first two partials (backward: of dQ) into one, each time
  std::span<const Pair> pairs = {};  ///< ranks that exchange KV
  int exchanges = 0;                 ///< of all pairs, one after the other, on one lane
  int pieces = 1;                    ///< of a chunk's KV; one is attended and sent
  int whole_exchanges = 0;           ///< first exchanges, which send all pieces
};

/// The schedule of a microbenchmark, with memory assigned.
[[nodiscard]] Schedule schedule_of(const Microbenchmark& benchmark);

}  // namespace meshattn
