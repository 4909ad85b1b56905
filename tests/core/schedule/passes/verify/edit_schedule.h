#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/schedule/passes/verify.h"
#include "tests/support/plans.h"

/// Helpers to break a schedule and to read what `verify` finds.
namespace meshattn::testing {

/// An unpruned mesh of 2×2 without memory.
inline Schedule tile_2x2(Pass pass, Mask mask = Mask::kFull) {
  return mesh(small_problem(4, pass, mask), simple_plan({2, 2}, pass), Dtype::kBf16);
}

/// The findings of `verify`, one per line.
inline std::string all_of(const Schedule& s) {
  std::string text;
  for (const Finding& f : verify(s)) text.append(f.what).append("\n");
  return text;
}

/// The `which`-th op of a kind on a rank.
template <typename Kind>
OpId find_op(const Schedule& s, Rank rank, int which = 0) {
  for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)
    if (std::holds_alternative<Kind>(s.ops[op]) && which-- == 0) return op;
  ADD_FAILURE() << "rank " << rank << " has no such op";
  return 0;
}

template <typename Kind>
Kind& get_op(Schedule& s, Rank rank, int which = 0) {
  return std::get<Kind>(s.ops[find_op<Kind>(s, rank, which)]);
}

inline void erase_op(Schedule& s, OpId op) {
  const auto rank = static_cast<std::size_t>(s.rank_of(op));
  s.ops.erase(s.ops.begin() + op);
  for (std::size_t r = rank + 1; r < s.first_op.size(); ++r) --s.first_op[r];
}

inline void insert_op(Schedule& s, Rank rank, OpId at, Op op) {
  s.ops.insert(s.ops.begin() + at, op);
  for (std::size_t r = static_cast<std::size_t>(rank) + 1; r < s.first_op.size(); ++r) ++s.first_op[r];
}

/// The cells of v's region × the first head.
inline RegionId first_head(Schedule& s, ValueId v) {
  const Region r = s.region(v);
  return s.regions.intern(std::vector(r.cells.begin(), r.cells.end()), {0, 1});
}

}  // namespace meshattn::testing
