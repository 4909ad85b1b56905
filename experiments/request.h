#pragma once

#include <boost/program_options.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster.h"
#include "core/network.h"
#include "core/plan.h"
#include "core/report/json.h"

namespace meshattn {

/// What every verb that plans is asked.
struct Request {
  Question question;
  Cluster cluster;
  std::string algorithm;  ///< empty if not given
  std::optional<Tile> tile;
  std::uint64_t memory_limit = UINT64_MAX;

  [[nodiscard]] int ranks() const { return question.problem.ranks; }
  [[nodiscard]] PlanRequest plan_request(Tile with, Pass pass) const;
  /// The cluster with the ranks of a tile placed as the question says. @throws InvalidInput if they cannot be.
  [[nodiscard]] Network network(Tile with) const;
};

/// The options that `read_request` reads.
void add_request_options(boost::program_options::options_description& options);

/// @throws InvalidInput naming the option that is missing, malformed or does not fit the others.
[[nodiscard]] Request read_request(const std::string& verb, const boost::program_options::variables_map& given);

/// --cluster, --set and --topologies: which cluster is meant. Part of the options above.
void add_cluster_options(boost::program_options::options_description& options);
[[nodiscard]] Cluster read_cluster_of(const boost::program_options::variables_map& given);
[[nodiscard]] std::filesystem::path topologies_of(const boost::program_options::variables_map& given);

/// Whether the option was given. @throws InvalidInput `required` was not.
[[nodiscard]] std::string required(const boost::program_options::variables_map& given, const std::string& option,
                                   const std::string& example);
[[nodiscard]] std::string optional(const boost::program_options::variables_map& given, const std::string& option,
                                   const std::string& otherwise = {});

/// Files that a verb is going to write, with the options that name them; an empty path is none.
/// @throws InvalidInput if one may not be written, or two are the same file or both standard output.
void check_outputs(const std::vector<std::pair<std::string, std::string>>& outputs);

/// The algorithm and tile of a verb that runs one schedule.
struct Choice {
  std::string algorithm;
  Tile tile;
};
[[nodiscard]] Choice read_choice(const Request& request);

/// Two lines: the problem, and where and how it is run.
[[nodiscard]] std::string headline(const Request& request);

/// ", placed grid:2x4" if it was searched for, else nothing: the headline says it.
[[nodiscard]] std::string placed_text(const Request& request, const std::string& placed);

}  // namespace meshattn
