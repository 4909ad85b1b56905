#include "core/partition.h"

#include "core/names.h"

namespace meshattn {

namespace {

constexpr NameTable<Partition, 4> kPartitions{{{Partition::kContiguous, "contiguous"},
                                               {Partition::kStriped, "striped"},
                                               {Partition::kZigzag, "zigzag"},
                                               {Partition::kDocumentZigzag, "document-zigzag"}}};

/// Run `chunk`, or its mirror image, of the 2n that a span is cut into.
TokenRun zigzag(const TokenRun& span, std::int64_t ranks, std::int64_t chunk, bool mirrored) {
  return cut_of(span, 2 * ranks, mirrored ? 2 * ranks - 1 - chunk : chunk);
}

}  // namespace

std::string_view name_of(Partition partition) { return kPartitions.name_of(partition); }
Partition parse_partition(std::string_view name) { return kPartitions.parse("partition", name); }

int pieces_of(Partition partition, const Documents& documents) {
  if (partition == Partition::kDocumentZigzag) return 2 * static_cast<int>(documents.span_ends().size());
  return partition == Partition::kZigzag ? 2 : 1;
}

TokenRun run_of(Partition partition, const Documents& documents, std::int64_t seq, int ranks, Cell cell) {
  const TokenRun all{0, 1, seq};
  switch (partition) {
    case Partition::kContiguous:
      return cut_of(all, ranks, cell);
    case Partition::kStriped:
      return {cell, ranks, (seq - cell + ranks - 1) / ranks};
    case Partition::kZigzag:
      return zigzag(all, ranks, cell / 2, cell % 2 != 0);
    case Partition::kDocumentZigzag: {
      const std::span<const std::int64_t> ends = documents.span_ends();
      const std::size_t chunk = cell / (2 * ends.size()), piece = cell % (2 * ends.size()), span = piece / 2;
      const std::int64_t begin = span == 0 ? 0 : ends[span - 1];
      return zigzag({begin, 1, ends[span] - begin}, ranks, static_cast<std::int64_t>(chunk), piece % 2 != 0);
    }
  }
  return {};
}

TokenRun cut_of(const TokenRun& run, std::int64_t parts, std::int64_t k) {
  const std::int64_t begin = run.count * k / parts;
  return {run.start + begin * run.stride, run.stride, run.count * (k + 1) / parts - begin};
}

}  // namespace meshattn
