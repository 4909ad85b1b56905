#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

/// One thing that `meshattn` can be asked to do.
struct Verb {
  std::string name;
  std::string summary;
  std::string example;  ///< complete command lines
  boost::program_options::options_description options;
  std::function<int(const boost::program_options::variables_map&)> run;  ///< @returns the exit status
  std::string argument = {};  ///< option whose value may stand without its name; empty: none
};

[[nodiscard]] Verb plan_verb();
[[nodiscard]] Verb simulate_verb();
[[nodiscard]] Verb compare_verb();
[[nodiscard]] Verb run_verb();
[[nodiscard]] Verb calibrate_verb();
[[nodiscard]] Verb validate_verb();
[[nodiscard]] Verb topology_verb();
/// Prints scripts that complete these verbs, and itself, in shells.
[[nodiscard]] Verb completion_verb(std::vector<Verb> verbs);

/// Reads a verb's arguments: every option known, spelt out, given once (unless it may repeat) and with a value.
/// @throws InvalidInput that says what is wrong with which.
[[nodiscard]] boost::program_options::variables_map parse_arguments(const Verb& verb,
                                                                    std::span<const std::string> given);

/// What `--help` says.
[[nodiscard]] std::string help_of(const Verb& verb);

}  // namespace meshattn
