#pragma once

#include <span>

#include "core/algorithms/mesh_form.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Attention in any form of the mesh (arXiv 2512.20968, and the algorithms that are special cases of it), forward or
/// backward as the problem says. `steps` are those of each slice on every rank. Partials travel as `wire` and are
/// combined in fp32. Nothing is pruned and no memory assigned.
///
/// With `ulysses` ranks in a slot (arXiv 2309.14509), each first sends every other one its chunk's share of the heads.
/// Then rank i of every slot is in a mesh of the i-th share, and at last results go back to the owners. Fewer key/value
/// heads than shares are replicated. Backward finds Q, KV and O where forward left them.
[[nodiscard]] Schedule mesh(const Problem& problem, const MeshForm& form, std::span<const TileStep> steps, Dtype wire);

/// The plain mesh of a plan's tile; ring is the tile 1×n.
[[nodiscard]] Schedule mesh(const Problem& problem, const OrderedTile& plan, Dtype wire);

}  // namespace meshattn
