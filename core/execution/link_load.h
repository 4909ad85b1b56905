#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "core/cluster/network.h"

namespace meshattn {

/// The capacity of each link as messages come and go and ranks start and stop computing.
class LinkLoad {
 public:
  /// `network` must outlive it.
  explicit LinkLoad(const Network& network)
      : network_(network),
        pairs_on_(network.bandwidth_depends_on_pairs() ? network.links().size() : 0),
        computing_on_(network.compute_slows_messages() ? network.links().size() : 0) {}

  /// The bytes of a message begin to flow.
  void add_message(Rank from, Rank to, const Route& route) {
    if (!pairs_on_.empty() && ++messages_[pair(from, to)] == 1)
      for (LinkId link : route) ++pairs_on_[link];
  }

  /// The last byte of a message has arrived.
  void remove_message(Rank from, Rank to, const Route& route) {
    if (!pairs_on_.empty() && --messages_[pair(from, to)] == 0)
      for (LinkId link : route) --pairs_on_[link];
  }

  /// A rank starts (by = 1) or stops (by = −1) computing. Call it only if the network's compute slows messages.
  /// @returns the links whose capacity may have changed.
  Route count_compute(Rank rank, int by) {
    const Route links = network_.links_slowed_by_compute(rank);
    for (LinkId link : links) computing_on_[link] += by;
    return links;
  }

  /// Bytes per second that the link carries now.
  [[nodiscard]] double capacity(LinkId link) const {
    return network_.links()[link].capacity(pairs_on_.empty() ? 0 : pairs_on_[link],
                                           !computing_on_.empty() && computing_on_[link] > 0);
  }

 private:
  [[nodiscard]] static std::uint64_t pair(Rank from, Rank to) {
    return static_cast<std::uint64_t>(from) << 32 | static_cast<std::uint32_t>(to);
  }

  const Network& network_;
  std::vector<std::size_t> pairs_on_;  ///< by link: pairs of ranks with a message on it; empty if that does not matter
  std::vector<int> computing_on_;      ///< by link: computing ranks that slow it; empty if none does
  std::unordered_map<std::uint64_t, int> messages_;  ///< by pair of ranks
};

}  // namespace meshattn
