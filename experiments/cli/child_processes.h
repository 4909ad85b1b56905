#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

/// The result of a job in a child process: its text, or the reason why there is none.
struct ChildResult {
  enum class Kind { kDone, kImpossible, kFailed };
  Kind kind = Kind::kFailed;  ///< kImpossible: the job threw InvalidInput; kFailed: any other error or signal
  std::string text;
};

/// Runs each job in a process of its own, `at_once` at a time, so that memory is freed and a crash is only a result.
/// @returns results in the order of `jobs`
[[nodiscard]] std::vector<ChildResult> run_in_child_processes(std::span<const std::function<std::string()>> jobs,
                                                              unsigned at_once);

}  // namespace meshattn
