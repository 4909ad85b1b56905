#pragma once

#include <boost/program_options.hpp>
#include <string>

namespace meshattn {

/// Options that --help shows under one caption, in lines of 100 columns.
[[nodiscard]] boost::program_options::options_description option_group(const std::string& caption);

/// The value of an option, with the name that --help gives it. FILE and DIR are completed as paths.
[[nodiscard]] boost::program_options::typed_value<std::string>* text_value(const char* name);

/// Adds the group "output" with the options given in it, and those that every verb has: --log-level and --help.
void add_output_options(boost::program_options::options_description& options,
                        boost::program_options::options_description output = option_group("output"));

}  // namespace meshattn
