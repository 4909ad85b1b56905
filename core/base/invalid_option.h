#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace meshattn {

/// An option that is missing or does not fit. The message has the option's name in it, so that a command can write the
/// name as its users do: "usp needs ulysses U" becomes "usp needs --ulysses U".
class InvalidOption : public InvalidInput {
 public:
  InvalidOption(const std::string& before, std::string_view option, const std::string& after)
      : InvalidInput(std::string(before).append(option).append(after)), option_at_(before.size()) {}

  /// The message with `prefix` before the option's name.
  [[nodiscard]] std::string with_prefix(std::string_view prefix) const {
    return std::string(what()).insert(option_at_, prefix);
  }

 private:
  std::size_t option_at_;
};

}  // namespace meshattn
