#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/cli/verb.h"

namespace meshattn {

/// A script that completes verbs, their options and values in bash; zsh reads it, too, after bashcompinit.
[[nodiscard]] std::string bash_completion(std::span<const Verb> verbs);

/// The same for fish.
[[nodiscard]] std::string fish_completion(std::span<const Verb> verbs);

/// Names that an option takes: all possible ones, or those in the data folders; none if its value is a number or text.
[[nodiscard]] std::vector<std::string> values_of(const std::string& option);

}  // namespace meshattn
