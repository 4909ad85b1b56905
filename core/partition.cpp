#include "core/partition.h"

#include "core/names.h"

namespace meshattn {

namespace {

constexpr NameTable<Partition, 3> kPartitions{
    {{Partition::kContiguous, "contiguous"}, {Partition::kStriped, "striped"}, {Partition::kZigzag, "zigzag"}}};

}  // namespace

std::string_view name_of(Partition partition) { return kPartitions.name_of(partition); }
Partition parse_partition(std::string_view name) { return kPartitions.parse("partition", name); }

int pieces_of(Partition partition) { return partition == Partition::kZigzag ? 2 : 1; }

TokenRun run_of(Partition partition, std::int64_t seq, int ranks, Cell cell) {
  const TokenRun all{0, 1, seq};
  switch (partition) {
    case Partition::kContiguous:
      return cut_of(all, ranks, cell);
    case Partition::kStriped:
      return {cell, ranks, (seq - cell + ranks - 1) / ranks};
    case Partition::kZigzag: {
      const std::int64_t chunk = cell / 2;
      return cut_of(all, 2L * ranks, cell % 2 == 0 ? chunk : 2L * ranks - 1 - chunk);
    }
  }
  return {};
}

TokenRun cut_of(const TokenRun& run, std::int64_t parts, std::int64_t k) {
  const std::int64_t begin = run.count * k / parts;
  return {run.start + begin * run.stride, run.stride, run.count * (k + 1) / parts - begin};
}

}  // namespace meshattn
