#pragma once

#include <boost/program_options.hpp>
#include <cstddef>
#include <string>

#include "core/base/enum_names.h"
#include "gpu/run.h"

namespace meshattn {

/// Adds the group "device": on which devices schedules run, and how.
void add_device_options(boost::program_options::options_description& options);

/// @throws InvalidInput naming the option that is malformed.
[[nodiscard]] gpu::RunOptions read_device_options(const boost::program_options::variables_map& given);
[[nodiscard]] gpu::Backend read_backend(const boost::program_options::variables_map& given);

/// Chooses NCCL for several processes if --transport is not given. @throws InvalidInput if they cannot use what is
/// given
void choose_transport(const boost::program_options::variables_map& given, const gpu::Job& job,
                      gpu::RunOptions& options);

/// The value with the given name, or `usual` if the option was not given. @throws InvalidInput with the possible names
template <typename T, std::size_t N>
[[nodiscard]] T one_of(const boost::program_options::variables_map& given, const std::string& option, T usual,
                       const EnumNames<T, N>& possible) {
  return given.count(option) ? possible.parse("--" + option, given[option].as<std::string>()) : usual;
}

}  // namespace meshattn
