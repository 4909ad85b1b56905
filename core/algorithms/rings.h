#pragma once

#include "core/passes/order.h"
#include "core/schedule.h"

namespace meshattn {

/// The rings along one side of a mesh's tiles: what reaches rank r with hop s started at `origin(r, s)`.
class Rings {
 public:
  /// Row groups: `a` neighbours, moving up. Column groups: every a-th rank, moving down, so that under a causal mask
  /// and zigzag a key/value chunk meets the queries that see most of it first and can be cut on the way. Contiguous
  /// chunks under a mask are seen by the ranks after their own, nearest first: forward they move up and end with the
  /// last that sees them. Backward they move down: dKV, which costs more, then begins at that last rank.
  static Rings of_rows(Tile tile) { return {1, tile.rows, -1}; }
  static Rings of_columns(Tile tile, const Problem& problem) {
    const bool up =
        problem.partition == Partition::kContiguous && !problem.mask.is_full() && problem.pass == Pass::kForward;
    return {tile.rows, tile.columns, up ? -1 : +1};
  }

  [[nodiscard]] int hops() const { return length_ - 1; }
  /// −length < hop < length.
  [[nodiscard]] Rank origin(Rank r, int hop) const {
    const int position = r / stride_ % length_;
    const int at = (position + towards_origin_ * hop + length_) % length_;
    return r + (at - position) * stride_;
  }
  [[nodiscard]] Rank previous(Rank r) const { return origin(r, 1); }
  [[nodiscard]] Rank next(Rank r) const { return origin(r, -1); }

 private:
  Rings(int stride, int length, int towards_origin)
      : stride_(stride), length_(length), towards_origin_(towards_origin) {}

  int stride_;
  int length_;
  int towards_origin_;
};

}  // namespace meshattn
