#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

namespace meshattn {

/// Everything this project throws. `main` and `in_job` report it; others catch only to add where it happened or to try
/// what else there is. Findings (violations, skipped points) are values, not errors.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a user gave cannot be used: the message says what was given and what would be right. Exit status 2.
class InvalidInput : public Error {
 public:
  using Error::Error;
};

/// A schedule that does not make sense, read or generated. Exit status 1.
class InvalidSchedule : public Error {
 public:
  using Error::Error;
};

/// The simulator could not finish. Exit status 1.
class SimulationError : public Error {
 public:
  using Error::Error;
};

/// A device, its driver or one of its libraries refused. Exit status 1.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// For messages: one line, whatever they are made of.
[[nodiscard]] inline std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

}  // namespace meshattn
