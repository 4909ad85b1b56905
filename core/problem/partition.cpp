#include "core/problem/partition.h"

#include "core/base/enum_names.h"

namespace meshattn {

namespace {

constexpr EnumNames<Partition, 5> kPartitions{{{Partition::kContiguous, "contiguous"},
                                               {Partition::kStriped, "striped"},
                                               {Partition::kZigzag, "zigzag"},
                                               {Partition::kDocumentContiguous, "document-contiguous"},
                                               {Partition::kDocumentZigzag, "document-zigzag"}}};

/// One run, or for zigzag a run and its mirror image.
int pieces_per_span(Partition partition) {
  return partition == Partition::kZigzag || partition == Partition::kDocumentZigzag ? 2 : 1;
}

}  // namespace

std::string_view name_of(Partition partition) { return kPartitions.name_of(partition); }
Partition parse_partition(std::string_view name) { return kPartitions.parse("partition", name); }

bool deals_documents(Partition partition) {
  return partition == Partition::kDocumentContiguous || partition == Partition::kDocumentZigzag;
}

int pieces_of(Partition partition, const Documents& documents) {
  const int spans = deals_documents(partition) ? static_cast<int>(documents.span_ends().size()) : 1;
  return spans * pieces_per_span(partition);
}

TokenRun run_of(Partition partition, const Documents& documents, std::int64_t seq, int ranks, Cell cell) {
  if (partition == Partition::kStriped) return {cell, ranks, (seq - cell + ranks - 1) / ranks};
  const int of_chunk = pieces_of(partition, documents), pieces = pieces_per_span(partition);
  const auto index = static_cast<int>(cell);
  const int chunk = index / of_chunk, piece = index % pieces;
  TokenRun tokens{0, 1, seq};
  if (deals_documents(partition)) {
    const std::span<const std::int64_t> ends = documents.span_ends();
    const auto span = static_cast<std::size_t>(index % of_chunk / pieces);
    tokens.start = span == 0 ? 0 : ends[span - 1];
    tokens.count = ends[span] - tokens.start;
  }
  return cut_of(tokens, pieces * ranks, piece == 0 ? chunk : 2 * ranks - 1 - chunk);
}

TokenRun cut_of(const TokenRun& run, std::int64_t parts, std::int64_t k) {
  const std::int64_t begin = run.count * k / parts;
  return {run.start + begin * run.stride, run.stride, run.count * (k + 1) / parts - begin};
}

}  // namespace meshattn
