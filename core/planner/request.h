#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/cluster/cluster.h"
#include "core/planner/grid_placement.h"

namespace meshattn {

/// Where a file of results comes from.
struct Origin {
  std::string version;         ///< of this program
  std::string command;         ///< the verb
  std::string model = {};      ///< empty: the shape was given in numbers
  std::string framework = {};  ///< empty: this project's own kernels
  bool is_planned = true;      ///< else a schedule was given; its order and wire dtype are unknown
};

/// What is asked: a problem, how it is to be computed, and on which cluster.
struct Request {
  Problem problem;                           ///< its pass and cuts do not count
  std::vector<Pass> passes{Pass::kForward};  ///< run one after the other
  bool choose_partition = false;             ///< the fastest of `usual_partitions` instead of the problem's
  std::string algorithm = {};
  Options options = {};
  std::optional<Order> order = {};  ///< none: the one that is estimated to be the fastest
  Dtype wire = Dtype::kFp32;        ///< in which partials travel
  PlacementRule placement = LinearRule{};
  std::uint64_t memory_limit = UINT64_MAX;  ///< bytes of attention values on any rank
  Cluster cluster = {};
  std::vector<Cluster> ends = {};  ///< the cluster's slow and fast end; none if its figures have no uncertainty
  Origin origin = {};
};

/// The algorithm's configuration for each pass, with the tokens dealt as the problem says.
/// @throws InvalidInput as `configure` of one pass.
[[nodiscard]] std::vector<Configuration> configure(const Request& request);

/// Ways to deal the tokens that suit a mask: even work under a causal mask; neighbours together where they see
/// neighbours only, or all see all. For documents it depends on their lengths and on the network which one is best.
/// `algorithm` is empty or a name.
[[nodiscard]] std::vector<Partition> usual_partitions(const Mask& mask, std::string_view algorithm);

/// Whether several ways to deal the tokens are tried.
[[nodiscard]] bool tries_partitions(const Request& request);

}  // namespace meshattn
