#pragma once

#include <boost/program_options.hpp>

namespace meshattn {

/// Runs what `run`'s options ask for, simulates the same schedules on the cluster, and prints where the two differ.
/// @returns the exit status: 1 if the results are wrong
int validate_run(const boost::program_options::variables_map& given);

}  // namespace meshattn
