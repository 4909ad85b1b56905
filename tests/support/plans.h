#pragma once

#include <random>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"

namespace meshattn::testing {

/// A small problem for counting by hand: two tokens per piece, head dimension 1.
[[nodiscard]] Problem small_problem(int ranks, Pass pass, Mask mask = Mask::kFull,
                                    Partition partition = Partition::kContiguous, int heads = 2, int kv_heads = 1);

/// All rows and columns arrive first. Forward, rows are computed one by one and leave when they are done, the own row
/// last; backward all blocks are computed, then rows leave, then columns.
[[nodiscard]] OrderedTile simple_plan(Tile tile, Pass pass);

/// A random order that a host could issue: blocks follow the arrival of their row and column, and a row or column
/// leaves after its blocks. Some blocks of a row are one rectangle.
[[nodiscard]] OrderedTile random_plan(Tile tile, Pass pass, std::mt19937& random);

}  // namespace meshattn::testing
