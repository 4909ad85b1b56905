#pragma once

#include <cstdint>
#include <string_view>

#include "core/problem/mask.h"

namespace meshattn {

/// A participant, 0 … ranks − 1: one GPU or a share of one. Rank r owns chunk r.
using Rank = std::int32_t;

/// One piece of one chunk, numbered chunk · pieces + piece: the smallest unit of attention and transport.
using Cell = std::uint32_t;

/// The assignment of a sequence's tokens to chunks.
enum class Partition : std::uint8_t {
  kContiguous,          ///< chunk r is the r-th of n consecutive runs; one piece
  kStriped,             ///< chunk r is every n-th token from token r (arXiv:2311.09431); one piece
  kZigzag,              ///< chunk r is runs r and 2n−1−r of 2n, which balances causal work; two pieces
  kDocumentContiguous,  ///< contiguous in each span of documents (Documents::span_ends); one piece per span
  kDocumentZigzag,      ///< zigzag in each span of documents; two pieces per span
};

/// True if the partition deals each span of documents on its own.
[[nodiscard]] bool deals_documents(Partition partition);

[[nodiscard]] std::string_view name_of(Partition partition);

/// @throws InvalidInput naming the text and the possible names.
[[nodiscard]] Partition parse_partition(std::string_view name);

/// Number of pieces of each chunk. `documents` must not be empty if the partition deals documents.
[[nodiscard]] int pieces_of(Partition partition, const Documents& documents);

/// Positions of a cell in a sequence of `seq` tokens dealt to `ranks` chunks. Runs differ by at most one token if the
/// length does not divide.
[[nodiscard]] TokenRun run_of(Partition partition, const Documents& documents, std::int64_t seq, int ranks, Cell cell);

/// The k-th of `parts` parts of a run, which differ by at most one token.
[[nodiscard]] TokenRun cut_of(const TokenRun& run, std::int64_t parts, std::int64_t k);

}  // namespace meshattn
