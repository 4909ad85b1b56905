#pragma once

#include <spdlog/fmt/fmt.h>

#include <boost/program_options.hpp>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/error.h"
#include "gpu/run.h"

namespace meshattn {

/// The options that say on what, and how, schedules are run.
void add_device_options(boost::program_options::options_description& options);

/// @throws InvalidInput naming the option that is malformed.
[[nodiscard]] gpu::RunOptions read_device_options(const boost::program_options::variables_map& given);
[[nodiscard]] gpu::Backend read_backend(const boost::program_options::variables_map& given);

/// NCCL if there are several processes and nothing else was asked for. @throws InvalidInput if it cannot be
void choose_transport(const boost::program_options::variables_map& given, const gpu::Job& job,
                      gpu::RunOptions& options);

/// What a name stands for; what is usual if the option was not given. @throws InvalidInput with the possible names
template <typename T>
[[nodiscard]] T one_of(const boost::program_options::variables_map& given, const std::string& option, T usual,
                       std::initializer_list<std::pair<const char*, T>> possible) {
  if (!given.count(option)) return usual;
  std::string names;
  for (const auto& [name, value] : possible) {
    if (given[option].as<std::string>() == name) return value;
    names += names.empty() ? name : fmt::format(", {}", name);
  }
  throw InvalidInput(fmt::format("--{} {}: possible are {}", option, given[option].as<std::string>(), names));
}

}  // namespace meshattn
