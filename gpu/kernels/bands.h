#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/problem/problem.h"
#include "gpu/kernels/band.h"

namespace meshattn::gpu {

/// A cell's tokens within a list of cells that an op works on.
struct CellSpan {
  Cell cell;
  bool contiguous = false;  ///< follows the span before without a gap, in every value that the op reads or adds to
};

/// A rectangle of queries × keys, contiguous in memory on both sides, and what the mask leaves of it. Indices count the
/// tokens of all spans. No query and no key of it at either end is without a pair.
struct BandBlock {
  std::int64_t first_query;
  std::int64_t queries;
  std::int64_t first_key;
  std::int64_t keys;
  Band band;

  friend bool operator==(const BandBlock&, const BandBlock&) = default;
};

/// Everything that the mask leaves of queries × keys, each pair once, in few blocks: neighbouring queries whose keys
/// are one interval each, with ends that stand still or move with the query. A chunk with itself under a causal mask is
/// one block, however it is cut; a window or a document one, or a few.
[[nodiscard]] std::vector<BandBlock> bands_of(const Problem& problem, std::span<const CellSpan> queries,
                                              std::span<const CellSpan> keys);

}  // namespace meshattn::gpu
