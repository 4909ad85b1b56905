#pragma once

#include <boost/program_options.hpp>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/cluster_file.h"
#include "core/planner/placement_search.h"
#include "core/report/json.h"

namespace meshattn {

/// What every verb that plans is asked.
struct Request {
  Question question;
  Cluster cluster;
  std::vector<Cluster> corners;  ///< what the cluster may be besides: see uncertainty_ends
  std::string algorithm;         ///< empty if not given
  Choices choices;
  bool partition_given = false;  ///< else what suits the mask and the algorithm, the best of several
  std::uint64_t memory_limit = UINT64_MAX;

  [[nodiscard]] int ranks() const { return question.problem.ranks; }
  /// An algorithm in each of the passes that are asked for. @throws InvalidInput if one does not fit.
  [[nodiscard]] std::vector<Method> methods(std::string_view algorithm, const Choices& choices) const;
  /// The passes, with everything chosen that is left open of these methods. @throws InvalidInput if they do not fit the
  /// cluster.
  [[nodiscard]] Arrangement arranged(std::span<const Method> methods, const PlacementRule& placement) const;
};

/// The options that `read_request` reads.
void add_request_options(boost::program_options::options_description& options);

/// @throws InvalidInput naming the option that is missing, malformed or does not fit the others.
[[nodiscard]] Request read_request(const std::string& verb, const boost::program_options::variables_map& given);

/// --cluster, --set and --topologies: which cluster is meant. Part of the options above.
void add_cluster_options(boost::program_options::options_description& options);
[[nodiscard]] ClusterFiles read_cluster_files(const boost::program_options::variables_map& given);
/// Sets all that a request has of its cluster.
void read_cluster_into(const boost::program_options::variables_map& given, Request& request);
[[nodiscard]] std::filesystem::path topologies_of(const boost::program_options::variables_map& given);

/// What was given with an option. @throws InvalidInput, with an example, if `required` was not given.
[[nodiscard]] std::string required(const boost::program_options::variables_map& given, const std::string& option,
                                   const std::string& example);
[[nodiscard]] std::string optional(const boost::program_options::variables_map& given, const std::string& option,
                                   const std::string& otherwise = {});

/// A whole number from `least`; what is usual if the option was not given.
[[nodiscard]] int count_of(const boost::program_options::variables_map& given, const std::string& option, int usual,
                           int least = 1);

/// Files that a verb is going to write, with the options that name them; an empty path is none.
/// @throws InvalidInput if one may not be written, or two are the same file or both standard output.
void check_outputs(const std::vector<std::pair<std::string, std::string>>& outputs);

/// For a verb that runs one schedule: arranges the algorithm that is asked for, and puts the partition that was chosen
/// into the question. @throws InvalidInput if the algorithm is missing.
[[nodiscard]] Arrangement settle(Request& request);

[[nodiscard]] std::vector<MeshForm> forms_of(std::span<const PlanRequest> passes);

/// "4x8" or, where the passes differ, "4x8 forward, 8x4 backward".
[[nodiscard]] std::string text_of(std::span<const MeshForm> forms);

/// Two lines: the problem, and where and how it is run.
[[nodiscard]] std::string headline(const Request& request);

/// ", placed grid:2x4" if it was searched for, else nothing: the headline says it.
[[nodiscard]] std::string placed_text(const Request& request, const std::string& placed);

}  // namespace meshattn
