#include "core/algorithms/rings.h"

#include <numeric>

namespace meshattn {

namespace {

/// Moves hops that are issued together as far apart as possible.
void spread(std::vector<int>& hops) {
  const std::size_t exchanges = exchanges_of(hops.size());
  std::vector<int> order;
  for (std::size_t first = 0; first < exchanges; ++first)
    for (std::size_t i = first; i < hops.size(); i += exchanges) order.push_back(hops[i]);
  hops = std::move(order);
}

}  // namespace

Rings::Rings(std::vector<Rank> order, int length, int inner, const MeshForm& form)
    : order_(std::move(order)), index_(order_.size()), length_(length), inner_(inner == 0 ? length : inner) {
  for (std::size_t i = 0; i < order_.size(); ++i) index_[static_cast<std::size_t>(order_[i])] = static_cast<int>(i);
  for (int first = 0; first < length_; first += inner_) {
    if (first + inner_ < length_) arrivals_.push_back(first + inner_);
    for (int hop = first + 1; hop < first + inner_; ++hop) {
      arrivals_.push_back(hop);
      departures_.push_back(hop);
    }
    if (first > 0) departures_.push_back(first);
  }
  if (form.starts_at_owner && length_ > 1) departures_.insert(departures_.begin(), 0);
  if (form.in == Travel::kGather) spread(arrivals_);
  if (form.out == Travel::kGather) spread(departures_);
}

Rank Rings::moved(Rank r, int segments, int ranks) const {
  const int at = index_[static_cast<std::size_t>(r)];
  const int in_ring = at % length_, count = length_ / inner_;
  const int segment = (in_ring / inner_ + segments + count) % count;
  const int index = (in_ring % inner_ + ranks + inner_) % inner_;
  return order_[static_cast<std::size_t>(at - in_ring + segment * inner_ + index)];
}

int Rings::hop_of(Rank r, Rank origin) const {
  const int to = index_[static_cast<std::size_t>(r)] % length_,
            from = index_[static_cast<std::size_t>(origin)] % length_;
  const int count = length_ / inner_;
  const int segments = (to / inner_ - from / inner_ + count) % count;
  return segments * inner_ + (to % inner_ - from % inner_ + inner_) % inner_;
}

// Within a node, the ring of row R visits columns from `entry` on, cyclically, so that data from the node before
// arrives at `entry`; rings of columns the same. Neighbouring rings have neighbouring entries, rows and columns
// different ones: traffic between nodes arrives at as many different ranks as possible.

Rings Rings::of_rows(const MeshForm& form, int slice) {
  const auto [a, b] = form.tile;
  const int s = form.node.rows, t = form.node.columns;
  std::vector<Rank> order;
  for (int R = 0; R < b; ++R)
    for (int i = 0; i < form.ulysses; ++i)
      for (int k = 0; k < a; ++k) {
        const int entry = (R % t + slice) % s;
        const int C = k / s * s + (entry + k % s) % s;
        order.push_back((R * a + C) * form.ulysses + i);
      }
  return {std::move(order), a, form.tile.columns == 1 ? form.inner : 0, form};
}

Rings Rings::of_columns(const MeshForm& form, const Problem& problem, int slice) {
  const auto [a, b] = form.tile;
  const int s = form.node.rows, t = form.node.columns;
  const bool up =
      problem.partition == Partition::kContiguous && !problem.mask.is_full() && problem.pass == Pass::kForward;
  std::vector<Rank> order;
  for (int C = 0; C < a; ++C)
    for (int i = 0; i < form.ulysses; ++i)
      for (int k = 0; k < b; ++k) {
        const int entry = (C % s + 1 + slice) % t, step = k % t;
        const int R = up ? k / t * t + (entry + step) % t : (b - 1 - k) / t * t + (entry + t - step) % t;
        order.push_back((R * a + C) * form.ulysses + i);
      }
  return {std::move(order), b, form.tile.rows == 1 ? form.inner : 0, form};
}

}  // namespace meshattn
