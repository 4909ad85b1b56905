#pragma once

#include <vector>

#include "core/schedule/schedule_builder.h"

namespace meshattn {

/// The one communication lane of generators that need no more.
inline constexpr Lane kOnlyLane = 1;

/// Values by rank.
using ByRank = std::vector<ValueId>;

/// The chunk of a tensor that each rank owns, given from the start.
inline ByRank own_chunks(ScheduleBuilder& b, Tensor tensor) {
  ByRank own;
  for (Rank r = 0; r < b.problem().ranks; ++r)
    own.push_back(b.input(r, tensor, b.chunk_region(r, tensor), b.problem().shape.dtype));
  return own;
}

/// delta of each rank's own rows, from the O that forward left.
inline ByRank own_deltas(ScheduleBuilder& b, const ByRank& d_o) {
  ByRank deltas;
  const ByRank o = own_chunks(b, Tensor::kO);
  for (std::size_t r = 0; r < o.size(); ++r) deltas.push_back(b.delta(o[r], d_o[r]));
  return deltas;
}

/// The combination of partials in a dtype, on their rank; a lone partial of that dtype is itself.
inline ValueId merged(ScheduleBuilder& b, const std::vector<ValueId>& parts, Dtype dtype) {
  return parts.size() == 1 && b.value(parts.front()).dtype == dtype ? parts.front() : b.combine(parts, dtype);
}

/// An accumulator as it travels: cast on its rank, if need be.
inline ValueId as_wire(ScheduleBuilder& b, ValueId sum, Dtype wire) { return merged(b, {sum}, wire); }

/// Combines the partials that the owner of a chunk ends with into its output.
inline void hand_out(ScheduleBuilder& b, const std::vector<ValueId>& sums) {
  b.output(merged(b, sums, b.problem().shape.dtype));
}

}  // namespace meshattn
