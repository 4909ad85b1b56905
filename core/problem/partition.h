#pragma once

#include <cstdint>
#include <string_view>

#include "core/problem/mask.h"

namespace meshattn {

/// A device taking part: 0 … ranks − 1. Rank r owns chunk r.
using Rank = std::int32_t;

/// One piece of one chunk, numbered chunk · pieces + piece: the smallest thing that is attended or moved.
using Cell = std::uint32_t;

/// How the tokens of a sequence are dealt to the chunks.
enum class Partition : std::uint8_t {
  kContiguous,          ///< chunk r is the r-th of n runs of neighbours; one piece
  kStriped,             ///< chunk r is every n-th token from r (arXiv 2311.09431); one piece
  kZigzag,              ///< 2n runs; chunk r is run r and run 2n−1−r, so that causal work is even; two pieces
  kDocumentContiguous,  ///< contiguous within every span of documents (Documents::span_ends); one piece a span
  kDocumentZigzag,      ///< zigzag within every span of documents; two pieces a span
};

/// Whether every span of documents is dealt for itself.
[[nodiscard]] bool deals_documents(Partition partition);

[[nodiscard]] std::string_view name_of(Partition partition);

/// @throws InvalidInput naming what was given and the possible names.
[[nodiscard]] Partition parse_partition(std::string_view name);

/// Pieces that each chunk consists of. `documents` matter only to partitions that deal them, which need some.
[[nodiscard]] int pieces_of(Partition partition, const Documents& documents);

/// The positions of a cell within a sequence of `seq` tokens dealt to `ranks` chunks. Lengths that do not divide give
/// runs that differ by one token.
[[nodiscard]] TokenRun run_of(Partition partition, const Documents& documents, std::int64_t seq, int ranks, Cell cell);

/// The k-th of `parts` runs that cut a run as evenly as can be.
[[nodiscard]] TokenRun cut_of(const TokenRun& run, std::int64_t parts, std::int64_t k);

}  // namespace meshattn
