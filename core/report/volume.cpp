#include "core/report/volume.h"

#include <algorithm>

namespace meshattn {

Volume volume_of(const Schedule& s, const Network& network) {
  const auto ranks = static_cast<std::size_t>(s.problem.ranks);
  using PerRank = std::vector<std::uint64_t>;
  PerRank bytes(ranks), payload(ranks), inter_node_bytes(ranks), inter_node_payload(ranks);
  for (const Transfer& t : s.transfers) {
    const Rank from = s.values[t.source].rank, to = s.values[t.made].rank;
    const auto at = static_cast<std::size_t>(to);
    bytes[at] += s.bytes(t.made);
    payload[at] += s.payload_bytes(t.made);
    if (network.share_node(from, to)) continue;
    inter_node_bytes[at] += s.bytes(t.made);
    inter_node_payload[at] += s.payload_bytes(t.made);
  }
  const auto average = [&](const PerRank& of) {
    double sum = 0;
    for (std::uint64_t one : of) sum += static_cast<double>(one);
    return sum / static_cast<double>(ranks);
  };
  const auto most = [](const PerRank& of) { return *std::ranges::max_element(of); };
  const double chunk = chunk_bytes(s.problem);
  return {average(bytes),
          most(bytes),
          average(payload) / chunk,
          average(inter_node_bytes),
          most(inter_node_bytes),
          average(inter_node_payload) / chunk,
          static_cast<double>(most(inter_node_payload)) / chunk};
}

}  // namespace meshattn
