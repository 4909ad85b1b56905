#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/problem/problem.h"
#include "gpu/kernels/band.h"

namespace meshattn::gpu {

/// The tokens of a cell, in a list of the cells of an op.
struct CellSpan {
  Cell cell;
  bool contiguous = false;  ///< no gap to the span before, in any value that the op reads or adds to
};

/// A rectangle of queries × keys, both contiguous in memory, and the band that the mask leaves of it. Queries and keys
/// are counted over the tokens of all spans. The first and last query and the first and last key have pairs.
struct BandBlock {
  std::int64_t first_query;
  std::int64_t queries;
  std::int64_t first_key;
  std::int64_t keys;
  Band band;

  friend bool operator==(const BandBlock&, const BandBlock&) = default;
};

/// All pairs that the mask leaves of queries × keys, each in exactly one block. In a block each query sees an interval
/// of keys, whose ends stay or advance by one key from query to query. Under a causal mask a chunk with itself is one
/// block, however it is cut into cells; a window or a document takes one block or a few.
[[nodiscard]] std::vector<BandBlock> bands_of(const Problem& problem, std::span<const CellSpan> queries,
                                              std::span<const CellSpan> keys);

}  // namespace meshattn::gpu
