#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/algorithms/order/order.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// How what the members of a group own reaches the others, and how partial results go back.
enum class Travel : std::uint8_t {
  kRing,    ///< from neighbour to neighbour, a hop at a time
  kDirect,  ///< from the owner to the member s places on, s = 1, 2, …: one exchange each
  kGather,  ///< from the owner to all members, kPeersAtOnce an exchange
};

/// NCCL's send/recv kernel has 16 channels, and uses two for a peer: it serves so many at the same time.
inline constexpr std::size_t kPeersAtOnce = 8;

/// Exchanges that so many gathered hops take.
[[nodiscard]] constexpr std::size_t exchanges_of(std::size_t hops) { return (hops + kPeersAtOnce - 1) / kPeersAtOnce; }
/// Hops of the i-th of them: i, i + exchanges, …
[[nodiscard]] constexpr std::size_t hops_of_exchange(std::size_t hops, std::size_t i) {
  return (hops - i + exchanges_of(hops) - 1) / exchanges_of(hops);
}

/// The places of a mesh that one node holds: `rows` places of a row group (they share queries) × `columns` of a column
/// group (they share keys).
struct Grid {
  int rows = 1;
  int columns = 1;

  friend bool operator==(const Grid&, const Grid&) = default;
};

/// In which steps a rank runs through its tile.
enum class Steps : std::uint8_t {
  kPlanned,   ///< as `order_tile` orders them
  kGathered,  ///< all in, then all blocks, then all out
  kDouble,    ///< the fixed order of a double ring, or of a ring
};

/// Mesh attention and all its relatives: which ranks share what, and how it travels. Ranks stand in places, `ulysses`
/// neighbours at each; place p = R·a + C has the queries of places R·a … R·a + a − 1 and the keys of places
/// C, C + a, …; ab places in all. The ranks of a place share out its heads.
struct MeshForm {
  Tile tile = {};   ///< in places
  int ulysses = 1;  ///< ranks at a place
  Travel in = Travel::kRing;
  Travel out = Travel::kRing;
  Steps steps = Steps::kPlanned;
  int inner = 0;         ///< double ring: places of a window, which divides the length of the ring; 0: one ring
  int slices = 1;        ///< of the heads of a rank, each a mesh on lanes of its own
  bool carried = false;  ///< a ring's sums leave home with what they are of, and come back after all hops and one more
  bool two_lanes = false;  ///< rows (Q, O, dO, dQ) on one lane, columns (KV, dKV) on another
  Grid node = {};          ///< if rings are to enter nodes at various ranks; else 1×1

  [[nodiscard]] int ranks() const { return tile.rows * tile.columns * ulysses; }
  /// The first of the ranks at the place of r; their chunks are the place's.
  [[nodiscard]] Rank first_at_place(Rank r) const { return r / ulysses * ulysses; }
  /// The heads of `tensor` that rank r attends in a slice.
  [[nodiscard]] HeadRange heads(const AttentionShape& shape, Rank r, int slice, Tensor tensor) const;

  /// Lanes: a slice has one, one more if rows and columns have lanes of their own, one more for a double ring's hops
  /// between windows.
  [[nodiscard]] int lanes_of_slice() const { return 1 + (two_lanes ? 1 : 0) + (inner > 0 ? 1 : 0); }
  [[nodiscard]] Lane row_lane(int slice) const { return static_cast<Lane>(1 + slice * lanes_of_slice()); }
  [[nodiscard]] Lane column_lane(int slice) const { return static_cast<Lane>(row_lane(slice) + (two_lanes ? 1 : 0)); }

  friend bool operator==(const MeshForm&, const MeshForm&) = default;
};

/// The grid of nodes that neighbouring ranks fill one after the other; 1×1 where it is none.
[[nodiscard]] Grid linear_grid(const MeshForm& form, int gpus_per_node);

/// Whether the heads can be shared out among the ranks of a place and cut into the slices.
[[nodiscard]] bool fits_heads(const MeshForm& form, const AttentionShape& shape);

/// @throws InvalidInput if the form does not fit the problem: places, heads, node, window.
void check(const MeshForm& form, const Problem& problem);

/// The steps of a form that leaves no choice. @throws InvalidInput for Steps::kPlanned.
[[nodiscard]] std::vector<TileStep> fixed_steps(const MeshForm& form, Pass pass);

}  // namespace meshattn
