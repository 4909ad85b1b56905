#pragma once

#include <vector>

#include "core/problem/attention.h"
#include "core/problem/mask.h"
#include "core/problem/partition.h"

namespace meshattn {

/// The attention to compute in one pass, the number of ranks, and which tokens each owns. A schedule says how.
struct Problem {
  AttentionShape shape;
  Mask mask = Mask::kFull;
  Partition partition = Partition::kContiguous;
  Pass pass = Pass::kForward;
  int ranks = 1;
  int cuts = 1;  ///< pieces into which each piece of the partition is cut evenly, so that each can take its own route

  /// Pieces per chunk.
  [[nodiscard]] int pieces() const { return pieces_of(partition, mask.documents) * cuts; }
  [[nodiscard]] Cell cells() const { return static_cast<Cell>(ranks * pieces()); }
  [[nodiscard]] Rank owner(Cell cell) const { return static_cast<Rank>(cell) / pieces(); }

  /// Token positions of a cell as queries and as keys, both counted from the first key.
  [[nodiscard]] TokenRun q_run(Cell cell) const;
  [[nodiscard]] TokenRun kv_run(Cell cell) const;

  /// The block q × kv under the mask.
  [[nodiscard]] Block block(Cell q, Cell kv) const;

  friend bool operator==(const Problem&, const Problem&) = default;

 private:
  [[nodiscard]] TokenRun run(std::int64_t seq, Cell cell) const;
};

/// The largest Problem::cuts.
inline constexpr int kMaxCuts = 65'536;

/// @throws InvalidInput on a bad shape or mask, too few or too many ranks or cuts, a partition that lacks documents, or
/// a sequence or span of documents too short for every cell to have a token.
void check(const Problem& problem);

/// (query, key) pairs that the mask leaves in the whole sequence, of one head and one batch item.
[[nodiscard]] double total_pairs(const Problem& problem);

/// The ranks 0, 1, …, ranks − 1.
[[nodiscard]] std::vector<Rank> all_ranks(int ranks);

/// Bytes of Q (also of O, dO and dQ) of an average chunk: the unit "chunk" of volumes.
[[nodiscard]] double chunk_bytes(const Problem& problem);

}  // namespace meshattn
