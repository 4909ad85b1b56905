#pragma once

#include <vector>

#include "core/algorithms/mesh_form.h"
#include "core/problem/problem.h"

namespace meshattn {

/// The rings of one side of a mesh's tiles: the ranks of each row group, or of each column group, in the order in which
/// data goes round them.
///
/// A rank's own chunks have hop 0; those of the other ranks arrive with hops 1 … length − 1, counted by how far behind
/// on the ring they started. In a double ring (arXiv 2406.18485) a ring is cut into segments of `inner` ranks. Hop
/// j·inner + i brings the chunks that started j segments and i ranks behind: an inner ring moves within its segment,
/// while the segment's first hop crosses to the next segment.
class Rings {
 public:
  /// The groups that share queries, moving up the ranks. Each slice of the heads enters nodes at another rank.
  [[nodiscard]] static Rings of_rows(const MeshForm& form, int slice = 0);
  /// The groups that share keys, moving down: under a causal mask and zigzag a key/value chunk then meets the queries
  /// that see most of it first, and can be cut on the way. Contiguous chunks under a mask are seen by the ranks after
  /// their own, nearest first: forward they move up, and end with the last rank that sees them. Backward they move
  /// down, and dKV, which costs more, begins at that last rank.
  [[nodiscard]] static Rings of_columns(const MeshForm& form, const Problem& problem, int slice = 0);

  [[nodiscard]] int hops() const { return length_ - 1; }
  /// Hops in the order in which they are issued. A double ring crosses to the next segment first. Gathered hops that
  /// are issued together are some distance apart, so that links within nodes and between them are busy at the same
  /// time.
  [[nodiscard]] const std::vector<int>& arrivals() const { return arrivals_; }
  /// The hops with which the chunks arrived whose partials leave, in the order in which these are sent. A double ring
  /// crosses to the next segment last. Hop 0, a rank's own, departs first in MeshForm::starts_at_owner.
  [[nodiscard]] const std::vector<int>& departures() const { return departures_; }
  [[nodiscard]] bool crosses_segment(int hop) const { return hop % inner_ == 0; }

  /// Owner of the chunk that arrives at r with a hop.
  [[nodiscard]] Rank origin(Rank r, int hop) const { return moved(r, -(hop / inner_), -(hop % inner_)); }
  /// The hop with which the chunk of `origin` arrives at r, of the same group.
  [[nodiscard]] int hop_of(Rank r, Rank origin) const;
  /// A neighbour, and the hop with which a chunk arrived there.
  struct Sender {
    Rank rank;
    int hop;
  };
  /// The neighbour that sends to r the chunk that arrives with a hop.
  [[nodiscard]] Sender sender(Rank r, int hop) const {
    return crosses_segment(hop) ? Sender{moved(r, -1, 0), hop - inner_} : Sender{moved(r, 0, -1), hop - 1};
  }
  /// The neighbour to which r sends the partial of the chunk that arrived with a hop, on its way round to its owner.
  [[nodiscard]] Rank receiver(Rank r, int hop) const {
    return hop > 0 && crosses_segment(hop) ? moved(r, 1, 0) : moved(r, 0, 1);
  }

 private:
  Rings(std::vector<Rank> order, int length, int inner, const MeshForm& form);
  [[nodiscard]] Rank moved(Rank r, int segments, int ranks) const;

  std::vector<Rank> order_;  ///< ring after ring
  std::vector<int> index_;   ///< of each rank in `order_`
  int length_;
  int inner_;
  std::vector<int> arrivals_, departures_;
};

}  // namespace meshattn
