#pragma once

#include <span>
#include <string_view>

#include "core/passes/order.h"
#include "core/schedule.h"

namespace meshattn {

/// Partial results travel in this type; the sums themselves are always made in fp32.
struct Wire {
  Dtype partial = Dtype::kFp32;
};

/// Mesh attention (arXiv 2512.20968), forward or backward as the problem says. Rank r = R·a + C has the queries of
/// ranks R·a … R·a + a − 1 and the keys of ranks C, C + a, …; Q and O move up the ranks of a row group, KV and dKV down
/// those of a column group. Nothing is pruned and no memory assigned.
/// @throws InvalidInput if the tile's product is not the number of ranks.
[[nodiscard]] Schedule mesh(const Problem& problem, const TilePlan& plan, Wire wire = {});

}  // namespace meshattn
