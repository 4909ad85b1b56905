#pragma once

#include <random>

#include "core/algorithms/catalogue.h"
#include "core/algorithms/mesh.h"

namespace meshattn::testing {

/// A small problem on which everything can be counted: two tokens a piece, head dimension 1.
[[nodiscard]] Problem small_problem(int ranks, Pass pass, Mask mask = Mask::kFull,
                                    Partition partition = Partition::kContiguous, int heads = 2, int kv_heads = 1);

/// All rows in, all columns in, then row after row, each leaving when it is done, the own one last; backward all blocks
/// first, then rows out, then columns out.
[[nodiscard]] OrderedTile simple_plan(Tile tile, Pass pass);

/// Any order of hops and blocks that a host could issue: a hop after the one before it, a block after its row and
/// column have come, a row or column out after its blocks. Some blocks of a row are one rectangle.
[[nodiscard]] OrderedTile random_plan(Tile tile, Pass pass, std::mt19937& random);

}  // namespace meshattn::testing
