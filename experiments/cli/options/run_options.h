#pragma once

#include <boost/program_options.hpp>

#include "experiments/measure/measure.h"

namespace meshattn {

/// The options of problem, cluster, algorithm, devices and output of verbs that run schedules.
void add_run_options(boost::program_options::options_description& options);

/// @throws InvalidInput naming the option that is missing, malformed or does not fit the others, or that there is no
/// such device.
[[nodiscard]] RunRequest read_run_request(const boost::program_options::variables_map& given, const gpu::Job& job);

}  // namespace meshattn
