#include "core/partition.h"

#include "core/names.h"

namespace meshattn {

namespace {

constexpr NameTable<Partition, 3> kPartitions{
    {{Partition::kContiguous, "contiguous"}, {Partition::kStriped, "striped"}, {Partition::kZigzag, "zigzag"}}};

/// The k-th of m runs that cut seq tokens as evenly as can be.
TokenRun even_cut(std::int64_t seq, std::int64_t m, std::int64_t k) {
  const std::int64_t begin = seq * k / m;
  return {begin, 1, seq * (k + 1) / m - begin};
}

}  // namespace

std::string_view name_of(Partition partition) { return kPartitions.name_of(partition); }
Partition parse_partition(std::string_view name) { return kPartitions.parse("partition", name); }

int pieces_of(Partition partition) { return partition == Partition::kZigzag ? 2 : 1; }

TokenRun run_of(Partition partition, std::int64_t seq, int ranks, Cell cell) {
  switch (partition) {
    case Partition::kContiguous:
      return even_cut(seq, ranks, cell);
    case Partition::kStriped:
      return {cell, ranks, (seq - cell + ranks - 1) / ranks};
    case Partition::kZigzag: {
      const std::int64_t chunk = cell / 2;
      return even_cut(seq, 2L * ranks, cell % 2 == 0 ? chunk : 2L * ranks - 1 - chunk);
    }
  }
  return {};
}

}  // namespace meshattn
