#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/algorithms/mesh_form.h"
#include "core/algorithms/order/order.h"
#include "core/problem/problem.h"
#include "core/schedule/schedule.h"

namespace meshattn {

/// Which side goes round where an algorithm is a tile of one row or column: keys (1×n), queries (n×1), or keys forward
/// and queries backward.
enum class Moving : std::uint8_t { kKeys, kQueries, kKeysThenQueries };

/// Who writes the schedule down.
enum class Generator : std::uint8_t { kMesh, kLightSeq, kStarTrail, kTasp };

/// One line of the table of algorithms.
struct Algorithm {
  std::string_view name;
  std::string_view summary;
  bool takes_tile = false;      ///< whether the user chooses the tile
  bool takes_ulysses = false;   ///< whether the user chooses how many ranks share out the heads
  bool takes_inner = false;     ///< whether its rings are double, and the user chooses the length of the inner ones
  bool takes_exchange = false;  ///< whether the user chooses how things travel
  bool forward_only = false;
  bool one_place = false;  ///< all ranks share out the heads
  bool carried = false;    ///< gradients of keys and values leave home with them
  Moving moving = Moving::kKeys;
  Travel in = Travel::kRing;
  Travel out = Travel::kRing;
  Steps steps = Steps::kPlanned;
  std::optional<Order> order = {};  ///< where the algorithm leaves no other
  Generator generator = Generator::kMesh;
  std::optional<Partition> partition = {};  ///< the only one that it takes, where masks leave blocks out
};

/// Every algorithm, in the order in which comparisons list them.
[[nodiscard]] std::span<const Algorithm> algorithms();

/// Their names, for lists in messages: "ring, double-ring, …".
[[nodiscard]] std::string algorithm_names();

/// @throws InvalidInput that lists the names if there is no such algorithm.
[[nodiscard]] const Algorithm& algorithm_of(std::string_view name);

/// What a user may choose of an algorithm; what is not given has its usual value, or must be given.
struct Choices {
  std::optional<Tile> tile = {};
  std::optional<Tile> tile_backward = {};  ///< if it is not that of the forward pass
  std::optional<int> ulysses = {};         ///< ranks that share out the heads
  std::optional<int> inner = {};           ///< ranks of an inner ring
  std::optional<Travel> travel = {};       ///< kRing or kDirect
  int slices = 1;                          ///< of the heads; 0: as many as `arrange` finds best

  friend bool operator==(const Choices&, const Choices&) = default;
};

/// An algorithm with everything chosen, for one pass.
struct Method {
  std::string_view algorithm = "mesh";
  Generator generator = Generator::kMesh;
  MeshForm form = {};               ///< of star-trail only the tile counts; of light-seq and tasp nothing
  std::optional<Order> order = {};  ///< where the algorithm leaves no other
  bool choose_slices = false;       ///< left to `arrange`; until then there is one

  friend bool operator==(const Method&, const Method&) = default;
};

/// @throws InvalidInput on an unknown name, a choice that the algorithm does not leave, one that is missing, or one
/// that does not fit the problem: ranks, heads, mask, pass.
[[nodiscard]] Method method_of(std::string_view algorithm, const Problem& problem, const Choices& choices,
                               int gpus_per_node);

/// The problem as a method cuts it: tasp moves each chunk in ranks − 1 parts, the others under a window so that little
/// more of a chunk is moved and merged than what the window shows.
[[nodiscard]] Problem cut_for(const Method& method, Problem problem);

/// Those of the choices that an algorithm takes.
[[nodiscard]] Choices taken_by(const Algorithm& algorithm, Choices choices);

/// What a comparison lists of an algorithm: `given` with every value of what is left open. At least one, if
/// nothing fits one that `method_of` refuses, or that is another algorithm under this name (prime numbers of ranks).
[[nodiscard]] std::vector<Choices> choices_of(const Algorithm& algorithm, const Problem& problem,
                                              const Choices& given = {});

/// "4x8"; with its Ulysses ranks, inner rings, direct exchange and slices, where there are any: "8 x 4x8, 2 slices".
[[nodiscard]] std::string text_of(const MeshForm& form);

}  // namespace meshattn
