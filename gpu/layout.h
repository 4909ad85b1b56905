#pragma once

#include <cstdint>
#include <vector>

#include "core/schedule.h"

namespace meshattn::gpu {

/// A run of bytes of a transfer that is in one piece on both ranks: offsets into the sender's and the receiver's arena.
struct Piece {
  std::uint64_t source = 0;
  std::uint64_t made = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const Piece&, const Piece&) = default;
};

/// How a value's rows lie in its bytes: its matrices one after the other (K, V; O, its log-sum-exp; the log-sum-exp of
/// delta, delta), in each matrix batch items, in these heads, in these the tokens of its cells. So a range of heads is
/// in one piece for each matrix and batch item, and all of a value in one.
///
/// @returns the pieces of a transfer, ascending in both arenas, as few as there can be; all of their bytes together are
/// those of the made value. The schedule must have its memory assigned.
[[nodiscard]] std::vector<Piece> pieces_of(const Schedule& schedule, TransferId transfer);

}  // namespace meshattn::gpu
