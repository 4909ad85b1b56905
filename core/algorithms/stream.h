#pragma once

#include <span>
#include <vector>

#include "core/algorithms/rings.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn {

/// One side of the tiles of one slice: its rings, and how things move on them.
struct Side {
  Rings rings;
  Lane lane;
  Lane crossing_lane;  ///< of a double ring's hops from window to window
  int slice;

  [[nodiscard]] Lane lane_of(int hop) const { return rings.crosses_window(hop) ? crossing_lane : lane; }
};

/// A tensor that moves round its rings and is read where it comes by. At each rank, a hop brings the chunks of one
/// place.
class Stream {
 public:
  /// `own`: what each rank has of the chunks of its place, rank after rank. Names all transfers, in no exchange yet.
  Stream(ScheduleBuilder& b, const MeshForm& form, const Side& side, std::vector<ValueId> own);

  /// Chunk `number` of the place whose chunks have arrived at r with a hop.
  [[nodiscard]] ValueId held(Rank r, int hop, int number) const {
    return held_[static_cast<std::size_t>(hop)][static_cast<std::size_t>(r * ulysses_ + number)];
  }
  /// Of all ranks.
  [[nodiscard]] std::span<const TransferId> transfers(int hop) const { return sent_[static_cast<std::size_t>(hop)]; }

 private:
  int ulysses_;
  std::vector<std::vector<ValueId>> held_;
  std::vector<std::vector<TransferId>> sent_;
};

/// Partial results that are summed up on their way to their owners, the chunks of a place together.
class Reduction {
 public:
  /// Names the sums that the blocks of each place contribute to.
  Reduction(ScheduleBuilder& b, const MeshForm& form, const Side& side, Tensor tensor, Dtype wire);

  /// What the blocks of the place that arrived at r with a hop contribute to.
  [[nodiscard]] ValueId sum(Rank r, int hop) const {
    return sums_[static_cast<std::size_t>(hop)][static_cast<std::size_t>(r)];
  }
  /// Sends the next `count` sums, merged with what has come for them, towards their owners.
  void depart(ScheduleBuilder& b, const Side& side, int count);
  /// Makes the outputs of r's chunks, and sends those of the others at its place to them.
  void finish(ScheduleBuilder& b, const Side& side);

 private:
  struct Arrived {
    int hop;
    ValueId partial;
  };
  [[nodiscard]] std::vector<ValueId> take(Rank r, int hop);
  void merge_at_home(ScheduleBuilder& b);
  void share_out(ScheduleBuilder& b, const Side& side);

  MeshForm form_;
  Tensor tensor_;
  Dtype wire_;
  std::vector<std::vector<ValueId>> sums_;     ///< by hop and rank
  std::vector<std::vector<Arrived>> arrived_;  ///< by rank: partials of what arrived with a hop
  std::size_t departed_ = 0;
  bool own_has_left_ = false;  ///< what ranks have summed up of their own chunks
};

}  // namespace meshattn
