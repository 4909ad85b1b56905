#pragma once

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace meshattn {

/// Base of everything this project throws. `main` and `in_job` report it; others catch it only to add a location or to
/// try an alternative. Findings (violations, skipped points) are values, not errors.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// User input that cannot be used. The message names the input and says what would be right. Exit status 2.
class InvalidInput : public Error {
 public:
  using Error::Error;
};

/// A schedule, read or generated, that is inconsistent. Exit status 1.
class InvalidSchedule : public Error {
 public:
  using Error::Error;
};

/// The simulator could not finish. Exit status 1.
class SimulationError : public Error {
 public:
  using Error::Error;
};

/// A device, its driver or one of its libraries failed. Exit status 1.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// A message on one line: line breaks become blanks.
[[nodiscard]] inline std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

/// Text of unknown origin for a message: its first 60 bytes, with '?' for bytes that are not printable ASCII.
[[nodiscard]] inline std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string shown;
  for (char c : text.substr(0, kLongest)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown + (text.size() > kLongest ? "…" : "");
}

}  // namespace meshattn
