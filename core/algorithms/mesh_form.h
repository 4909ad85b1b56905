#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/algorithms/order/order.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// How the chunks of a group's members reach the other members, and how partials go back.
enum class Travel : std::uint8_t {
  kRing,    ///< from neighbour to neighbour, a hop at a time
  kDirect,  ///< from the owner to the member s further on, s = 1, 2, …: one exchange each
  kGather,  ///< from the owner to all members, kPeersAtOnce an exchange
};

/// Peers that NCCL's send/recv kernel serves at the same time: it has 16 channels, and uses two for a peer.
inline constexpr std::size_t kPeersAtOnce = 8;

/// Exchanges that a number of gathered hops takes.
[[nodiscard]] constexpr std::size_t exchanges_of(std::size_t hops) { return (hops + kPeersAtOnce - 1) / kPeersAtOnce; }
/// Number of hops in the i-th of these exchanges: hops i, i + exchanges, …
[[nodiscard]] constexpr std::size_t hops_of_exchange(std::size_t hops, std::size_t i) {
  return (hops - i + exchanges_of(hops) - 1) / exchanges_of(hops);
}

/// The slots of a mesh that one node holds: `rows` slots of a row group (they share queries) × `columns` slots of a
/// column group (they share keys).
struct Grid {
  int rows = 1;
  int columns = 1;

  friend bool operator==(const Grid&, const Grid&) = default;
};

/// In which steps a rank runs through its tile.
enum class Steps : std::uint8_t {
  kPlanned,   ///< as `order_tile` orders them
  kGathered,  ///< all in, then all blocks, then all out
  kRing,      ///< the fixed order of a ring or a double ring
  kOwn,       ///< no form of the mesh: the algorithm's own generator lists them
};

/// Mesh attention and all its relatives: which ranks share what, and how it travels. Each slot holds `ulysses`
/// neighbouring ranks, which share out its heads. Slot p = R·a + C has the queries of slots R·a … R·a + a − 1 and the
/// keys of slots C, C + a, …; there are ab slots.
struct MeshForm {
  Tile tile = {};   ///< in slots
  int ulysses = 1;  ///< ranks in a slot
  Travel in = Travel::kRing;
  Travel out = Travel::kRing;
  Steps steps = Steps::kPlanned;
  int inner = 0;   ///< double ring: slots of a segment, which divides the length of the ring; 0: one ring
  int slices = 1;  ///< of the heads of a rank, each a mesh on lanes of its own
  /// Ring: an accumulator starts at the owner of its chunk and comes home after all hops and one more.
  bool starts_at_owner = false;
  bool two_lanes = false;  ///< rows (Q, O, dO, dQ) on one lane, columns (KV, dKV) on another
  Grid node = {};          ///< where rings are to enter nodes at various ranks: the slots of a node; else 1×1

  /// Whether ranks are in slots as described; else only the tile counts.
  [[nodiscard]] bool is_mesh() const { return steps != Steps::kOwn; }
  [[nodiscard]] int ranks() const { return tile.rows * tile.columns * ulysses; }
  /// The first rank of r's slot. The chunks of its ranks are the slot's.
  [[nodiscard]] Rank first_in_slot(Rank r) const { return r / ulysses * ulysses; }
  /// The heads of `tensor` that rank r attends in a slice.
  [[nodiscard]] HeadRange heads(const AttentionShape& shape, Rank r, int slice, Tensor tensor) const;

  /// Lanes: a slice has one, one more if rows and columns have lanes of their own, one more for a double ring's hops
  /// between segments.
  [[nodiscard]] int lanes_of_slice() const { return 1 + (two_lanes ? 1 : 0) + (inner > 0 ? 1 : 0); }
  [[nodiscard]] Lane row_lane(int slice) const { return static_cast<Lane>(1 + slice * lanes_of_slice()); }
  [[nodiscard]] Lane column_lane(int slice) const { return static_cast<Lane>(row_lane(slice) + (two_lanes ? 1 : 0)); }

  friend bool operator==(const MeshForm&, const MeshForm&) = default;
};

/// "4x8"; with its Ulysses ranks, inner rings, direct exchange and slices, where there are any: "8 x 4x8, 2 slices".
[[nodiscard]] std::string form_text(const MeshForm& form);

/// The grid of slots on each node where neighbouring ranks fill one node after the other; 1×1 where it is none.
[[nodiscard]] Grid linear_grid(const MeshForm& form, int gpus_per_node);

/// Whether the heads can be shared out among the ranks of a slot and cut into the slices.
[[nodiscard]] bool fits_heads(const MeshForm& form, const AttentionShape& shape);

/// @throws InvalidInput if the form does not fit the problem: slots, heads, node, segments.
void check(const MeshForm& form, const Problem& problem);

/// The steps of a form that leaves no choice; none for Steps::kOwn. @throws InvalidInput for Steps::kPlanned.
[[nodiscard]] std::vector<TileStep> fixed_steps(const MeshForm& form, Pass pass);

/// Transfers to each rank in a pass.
[[nodiscard]] double transfers_to_rank(const MeshForm& form, Pass pass);

}  // namespace meshattn
