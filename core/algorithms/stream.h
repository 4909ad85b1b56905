#pragma once

#include <span>
#include <vector>

#include "core/algorithms/rings.h"
#include "core/schedule/schedule_builder.h"

namespace meshattn {

/// The rows or the columns of one slice's tiles: their rings, and the lanes on which chunks and partials move.
struct SliceRings {
  Rings rings;
  Lane lane;
  Lane crossing_lane;  ///< of a double ring's hops from segment to segment
  int slice;

  [[nodiscard]] Lane lane_of(int hop) const { return rings.crosses_segment(hop) ? crossing_lane : lane; }
};

/// A tensor that moves round its rings and is read at every rank. At each rank, a hop brings the chunks of one slot.
class Stream {
 public:
  /// `own`: each rank's values of the chunks of its slot, rank after rank. Names all transfers, in no exchange yet.
  Stream(ScheduleBuilder& b, const MeshForm& form, const SliceRings& side, std::vector<ValueId> own);

  /// Chunk `number` of the slot whose chunks arrived at r with a hop.
  [[nodiscard]] ValueId value(Rank r, int hop, int number) const {
    return values_[static_cast<std::size_t>(hop)][static_cast<std::size_t>(r * ulysses_ + number)];
  }
  /// The transfers of a hop, all ranks together.
  [[nodiscard]] std::span<const TransferId> transfers(int hop) const {
    return transfers_[static_cast<std::size_t>(hop)];
  }

 private:
  int ulysses_;
  std::vector<std::vector<ValueId>> values_;        ///< by hop, then as in `own`
  std::vector<std::vector<TransferId>> transfers_;  ///< by hop
};

/// Partials that are combined on their way to their owners, the chunks of a slot together.
class Reduction {
 public:
  /// Names the accumulators of the blocks of each slot.
  Reduction(ScheduleBuilder& b, const MeshForm& form, const SliceRings& side, Tensor tensor, Dtype wire);

  /// Accumulator at rank r for blocks of the slot whose chunks arrived with `hop`.
  [[nodiscard]] ValueId accumulator(Rank r, int hop) const {
    return accumulators_[static_cast<std::size_t>(hop)][static_cast<std::size_t>(r)];
  }
  /// Sends the next `count` accumulators, combined with the partials received for them, towards their owners.
  void depart(ScheduleBuilder& b, const SliceRings& side, int count);
  /// Makes the outputs of r's chunks, and sends those of the other ranks of its slot to them.
  void finish(ScheduleBuilder& b, const SliceRings& side);

 private:
  /// A partial for the chunks that arrived here with `hop`.
  struct Received {
    int hop;
    ValueId partial;
  };
  [[nodiscard]] std::vector<ValueId> take(Rank r, int hop);
  void combine_at_owners(ScheduleBuilder& b);
  void finish_in_slots(ScheduleBuilder& b, const SliceRings& side);

  MeshForm form_;
  Tensor tensor_;
  Dtype wire_;
  std::vector<std::vector<ValueId>> accumulators_;  ///< by hop and rank
  std::vector<std::vector<Received>> received_;     ///< by rank
  std::size_t departed_ = 0;                        ///< departures so far
  bool own_departed_ = false;                       ///< the ranks' accumulators of their own chunks among them
};

}  // namespace meshattn
