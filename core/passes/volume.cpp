#include "core/passes/volume.h"

#include <algorithm>

namespace meshattn {

Volume volume_of(const Schedule& s, int ranks_per_node) {
  const auto ranks = static_cast<std::size_t>(s.problem.ranks);
  std::vector<std::uint64_t> received(ranks), from_other_nodes(ranks);
  std::uint64_t payload = 0;
  for (const Transfer& t : s.transfers) {
    const Rank from = s.values[t.source].rank, to = s.values[t.made].rank;
    const std::uint64_t bytes = s.bytes(t.made);
    received[static_cast<std::size_t>(to)] += bytes;
    if (from / ranks_per_node != to / ranks_per_node) from_other_nodes[static_cast<std::size_t>(to)] += bytes;
    payload += s.payload_bytes(t.made);
  }
  const auto average = [&](const std::vector<std::uint64_t>& of) {
    double sum = 0;
    for (std::uint64_t bytes : of) sum += static_cast<double>(bytes);
    return sum / static_cast<double>(ranks);
  };
  return {average(received), *std::ranges::max_element(received),
          static_cast<double>(payload) / static_cast<double>(ranks) / chunk_bytes(s.problem), average(from_other_nodes),
          *std::ranges::max_element(from_other_nodes)};
}

}  // namespace meshattn
