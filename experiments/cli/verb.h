#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

/// A command of `meshattn` with its options.
struct Verb {
  std::string name;
  std::string summary;
  std::string example;  ///< command lines to copy
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

/// Reads a verb's arguments. Each option must be known, written in full, given once (unless it may repeat) and have a
/// value. @throws InvalidInput naming the option that is wrong
[[nodiscard]] boost::program_options::variables_map parse_arguments(const Verb& verb,
                                                                    std::span<const std::string> given);

/// The text of `--help`.
[[nodiscard]] std::string help_of(const Verb& verb);

}  // namespace meshattn
