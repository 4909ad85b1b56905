#pragma once

#include <cstdint>
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

/// What a user may choose of some algorithms.
enum class Option : std::uint8_t { kTile, kUlysses, kInner, kExchange, kSlices };

/// "tile", "ulysses", "inner", "exchange", "slices".
[[nodiscard]] std::string_view name_of(Option option);

/// What a user chooses of an algorithm. What is not given has its usual value, or is required.
struct Options {
  std::optional<Tile> tile = {};
  std::optional<Tile> tile_backward = {};  ///< where the backward pass has another tile than the forward pass
  std::optional<int> ulysses = {};         ///< ranks that share out the heads
  std::optional<int> inner = {};           ///< ranks of an inner ring
  std::optional<Travel> exchange = {};     ///< kRing or kDirect
  int slices = 1;                          ///< of the heads; 0: the number that is estimated to be the fastest

  friend bool operator==(const Options&, const Options&) = default;
};

struct Algorithm;

/// The algorithm of that name. @throws InvalidInput that lists the names if there is none.
[[nodiscard]] const Algorithm& algorithm_of(std::string_view name);

/// One pass with everything chosen that a schedule depends on, but for the placement and the order of its steps.
struct Configuration {
  Problem problem;  ///< of this pass, with its chunks cut as the algorithm wants them
  const Algorithm* algorithm = &algorithm_of("mesh");
  MeshForm form = {};
  bool choose_slices = false;       ///< form.slices is 1 until the planner has chosen another number
  std::optional<Order> order = {};  ///< of steps that are planned; none: the one that is estimated to be the fastest
  Dtype wire = Dtype::kFp32;        ///< in which partials travel
  std::uint64_t memory_limit = UINT64_MAX;  ///< bytes of attention values on any rank
};

/// The arguments of `Algorithm::form`.
struct FormRequest {
  const Algorithm& algorithm;
  const Problem& problem;
  const Options& options;
  int gpus_per_node;
};

/// The schedule of a mesh in the configuration's form: see mesh.h.
[[nodiscard]] Schedule generate_mesh(const Configuration& configuration, std::span<const TileStep> steps);

/// The number of parts that chunks are cut into, so that little more of them moves and is merged than a window shows.
/// 1 without a window.
[[nodiscard]] int cuts_for_window(const Problem& problem, const MeshForm& form);

/// Exactly what is given.
[[nodiscard]] std::vector<Options> only_given(const Problem& problem, const Options& given);

/// An algorithm: one row of the catalogue, made by one file of core/algorithms/catalogue/.
///
/// Most are forms of the mesh. One that is not has a `generate` of its own and, which `configure` checks, Steps::kOwn;
/// its form then gives the tile by which its size is estimated and under which it is listed.
struct Algorithm {
  std::string_view name;
  std::string_view summary;          ///< one line, with the arXiv number
  std::vector<Option> options = {};  ///< those that it takes
  bool forward_only = false;
  std::optional<Order> order = {};          ///< the only one that it runs in
  std::optional<Partition> partition = {};  ///< the only one that it takes under a mask

  /// Its form for a problem and options. @throws InvalidOption on one that is missing or does not fit.
  MeshForm (*form)(const FormRequest& request) = nullptr;
  /// `steps` are those of each slice on every rank; empty for Steps::kOwn. Nothing is pruned and no memory assigned.
  Schedule (*generate)(const Configuration& configuration, std::span<const TileStep> steps) = generate_mesh;
  /// The number of parts that it cuts each piece of a chunk into.
  int (*cuts)(const Problem& problem, const MeshForm& form) = cuts_for_window;
  /// What a comparison lists of it: `given` with every value of required options that are not given. At least one;
  /// if no value fits, one that `form` refuses.
  std::vector<Options> (*variants)(const Problem& problem, const Options& given) = only_given;

  [[nodiscard]] bool takes(Option option) const;
};

/// An algorithm for one pass of a problem, with everything chosen that the options leave open, but for
/// `choose_slices`. Order, wire and memory limit have their usual values.
/// @throws InvalidInput on an option that the algorithm does not take, one that is missing, or one that does not fit
/// the problem: ranks, heads, mask, pass.
[[nodiscard]] Configuration configure(const Algorithm& algorithm, const Problem& problem, const Options& options,
                                      int gpus_per_node);
[[nodiscard]] Configuration configure(std::string_view algorithm, const Problem& problem, const Options& options,
                                      int gpus_per_node);

/// The options without those that an algorithm does not take.
[[nodiscard]] Options options_for(const Algorithm& algorithm, Options options);

}  // namespace meshattn
