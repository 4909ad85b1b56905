#pragma once

#include <vector>

#include "core/algorithms/mesh_form.h"
#include "core/problem/problem.h"

namespace meshattn {

/// The ranks of each group along one side of a mesh's tiles, in the order in which data goes round them.
///
/// What a rank owns arrives at the others with hop 1 … length − 1, counted by how far behind on the ring it started;
/// hop 0 is a rank's own. In a double ring (arXiv 2406.18485) a ring of `length` is cut into windows of `inner` ranks:
/// hop j·inner + i brings what started j windows and i places behind, and an inner ring moves within its window while
/// the window's first hop crosses to the next one.
class Rings {
 public:
  /// The groups that share queries, moving up the ranks. `slice` counts the slices of heads: each enters the nodes at
  /// another rank.
  [[nodiscard]] static Rings of_rows(const MeshForm& form, int slice = 0);
  /// The groups that share keys, moving down, so that under a causal mask and zigzag a key/value chunk meets the
  /// queries that see most of it first and can be cut on the way. Contiguous chunks under a mask are seen by the ranks
  /// after their own, nearest first: forward they move up and end with the last that sees them. Backward they move
  /// down: dKV, which costs more, then begins at that last rank.
  [[nodiscard]] static Rings of_columns(const MeshForm& form, const Problem& problem, int slice = 0);

  [[nodiscard]] int hops() const { return length_ - 1; }
  /// Hops in the order in which they are issued: a double ring crosses to the next window first …
  [[nodiscard]] const std::vector<int>& arrivals() const { return arrivals_; }
  /// … and sends what has been summed up in a window on to the next window last. Where several are issued together they
  /// are some distance apart, so that links within nodes and between them are busy at the same time. Hop 0, a rank's
  /// own, departs first where sums are carried.
  [[nodiscard]] const std::vector<int>& departures() const { return departures_; }
  [[nodiscard]] bool crosses_window(int hop) const { return hop % inner_ == 0; }

  /// Whose chunk has arrived at r with a hop.
  [[nodiscard]] Rank origin(Rank r, int hop) const { return moved(r, -(hop / inner_), -(hop % inner_)); }
  /// With which hop the chunk of `origin` arrives at r, of the same group.
  [[nodiscard]] int hop_of(Rank r, Rank origin) const;
  /// Who sends on to r what arrives with a hop: with which hop did it arrive there.
  struct Sender {
    Rank rank;
    int hop;
  };
  [[nodiscard]] Sender sender(Rank r, int hop) const {
    return crosses_window(hop) ? Sender{moved(r, -1, 0), hop - inner_} : Sender{moved(r, 0, -1), hop - 1};
  }
  /// Who gets from r the partial of what arrived with a hop, on its way round to its owner.
  [[nodiscard]] Rank receiver(Rank r, int hop) const {
    return hop > 0 && crosses_window(hop) ? moved(r, 1, 0) : moved(r, 0, 1);
  }

 private:
  Rings(std::vector<Rank> order, int length, int inner, const MeshForm& form);
  [[nodiscard]] Rank moved(Rank r, int windows, int places) const;

  std::vector<Rank> order_;  ///< ring after ring
  std::vector<int> place_;   ///< by rank: where it is in `order_`
  int length_;
  int inner_;
  std::vector<int> arrivals_, departures_;
};

}  // namespace meshattn
