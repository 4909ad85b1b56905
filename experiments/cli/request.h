#pragma once

#include <boost/program_options.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/base/invalid_option.h"
#include "core/cluster/cluster_file.h"
#include "core/planner/plan.h"
#include "core/planner/request.h"

namespace meshattn {

/// The options that `read_request` reads.
void add_request_options(boost::program_options::options_description& options);

/// @throws InvalidInput naming the option that is missing, malformed or does not fit the others.
[[nodiscard]] Request read_request(const std::string& verb, const boost::program_options::variables_map& given);

/// --cluster, --set and --topologies: which cluster is meant. Part of the options above.
void add_cluster_options(boost::program_options::options_description& options);
[[nodiscard]] ClusterFiles read_cluster_files(const boost::program_options::variables_map& given);
/// Sets the request's cluster, its ends and its framework.
void read_cluster_into(const boost::program_options::variables_map& given, Request& request);
[[nodiscard]] std::filesystem::path topologies_of(const boost::program_options::variables_map& given);

/// What was given with an option. @throws InvalidInput, with an example, if `required` was not given.
[[nodiscard]] std::string required(const boost::program_options::variables_map& given, const std::string& option,
                                   const std::string& example);
[[nodiscard]] std::string optional(const boost::program_options::variables_map& given, const std::string& option,
                                   const std::string& otherwise = {});

/// A whole number from `least`; `usual` if the option was not given.
[[nodiscard]] int count_of(const boost::program_options::variables_map& given, const std::string& option, int usual,
                           int least = 1);

/// Files that a verb is going to write, with the options that name them; an empty path is none.
/// @throws InvalidInput if one may not be written, or two are the same file or both standard output.
void check_outputs(const std::vector<std::pair<std::string, std::string>>& outputs);

/// Takes mesh if a tile but no algorithm is given. @throws InvalidInput if the algorithm is missing.
void require_algorithm(Request& request);

/// Puts what a plan chose into its request, so that reports show it.
void show_choices(const Plan& plan, Request& request);

/// Runs `work`; its errors of options name them as flags ("--tile").
template <typename Work>
auto with_flags(Work&& work) {
  try {
    return work();
  } catch (const InvalidOption& e) {
    throw InvalidInput(e.with_prefix("--"));
  }
}

/// Two lines: the problem, and where and how it is run.
[[nodiscard]] std::string headline(const Request& request);

/// ", placed grid:2x4" if the placement was searched for, else nothing: the headline says it.
[[nodiscard]] std::string placed_text(const Request& request, const std::string& placed);

}  // namespace meshattn
