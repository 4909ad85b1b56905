#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

/// What a job in a child process gave: `text`, or the reason why it could not.
struct ChildResult {
  enum class Kind { kDone, kImpossible, kFailed };
  Kind kind = Kind::kFailed;  ///< kImpossible: the job threw InvalidInput; kFailed: anything else, dying included
  std::string text;
};

/// Runs every job in a process of its own, `at_once` of them at a time: their memory goes back to the system, and one
/// that dies is only a result. @returns in the order of `jobs`.
[[nodiscard]] std::vector<ChildResult> run_in_child_processes(std::span<const std::function<std::string()>> jobs,
                                                              unsigned at_once);

}  // namespace meshattn
