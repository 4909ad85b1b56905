#pragma once

#include <vector>

#include "core/problem/attention.h"
#include "core/problem/mask.h"
#include "core/problem/partition.h"

namespace meshattn {

/// What is to be computed, by how many, with which tokens where. A schedule says how.
struct Problem {
  AttentionShape shape;
  Mask mask = Mask::kFull;
  Partition partition = Partition::kContiguous;
  Pass pass = Pass::kForward;
  int ranks = 1;
  int cuts = 1;  ///< every piece of the partition is cut evenly into so many, so that each can travel its own way

  [[nodiscard]] int pieces() const { return pieces_of(partition, mask.documents) * cuts; }
  [[nodiscard]] Cell cells() const { return static_cast<Cell>(ranks * pieces()); }
  [[nodiscard]] Rank owner(Cell cell) const { return static_cast<Rank>(cell) / pieces(); }

  /// Token positions of a cell on the query side (counted from the first *key*) and on the key side.
  [[nodiscard]] TokenRun q_run(Cell cell) const;
  [[nodiscard]] TokenRun kv_run(Cell cell) const;

  /// What the mask leaves of q cell × kv cell.
  [[nodiscard]] Block block(Cell q, Cell kv) const;

  friend bool operator==(const Problem&, const Problem&) = default;

 private:
  [[nodiscard]] TokenRun run(std::int64_t seq, Cell cell) const;
};

/// The most cuts of a piece.
inline constexpr int kMaxCuts = 65'536;

/// @throws InvalidInput on a bad shape or mask, no ranks, a partition that lacks documents, or a sequence or span of
/// documents too short to give every cell a token.
void check(const Problem& problem);

/// (query, key) pairs of one head and one batch item that the mask leaves in the whole problem.
[[nodiscard]] double total_pairs(const Problem& problem);

/// 0, 1, … ranks − 1.
[[nodiscard]] std::vector<Rank> all_ranks(int ranks);

/// Bytes of the Q of an average chunk (= its O, dO, dQ): the unit "chunk" of every volume.
[[nodiscard]] double chunk_bytes(const Problem& problem);

}  // namespace meshattn
