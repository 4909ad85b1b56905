#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace meshattn {

/// Names of the values of an enumeration.
template <typename Enum, std::size_t N>
struct EnumNames {
  std::pair<Enum, std::string_view> entries[N];

  /// "?" for a value without a name.
  [[nodiscard]] constexpr std::string_view name_of(Enum value) const {
    for (const auto& [v, name] : entries)
      if (v == value) return name;
    return "?";
  }

  /// The value of a name. `what` is the noun for the message. @throws InvalidInput naming `given` and the possible
  /// names.
  [[nodiscard]] Enum parse(std::string_view what, std::string_view given) const {
    std::string possible;
    for (const auto& [value, name] : entries) {
      if (name == given) return value;
      possible.append(possible.empty() ? "" : ", ").append(name);
    }
    throw InvalidInput(std::string("unknown ").append(what).append(" '").append(given).append("': possible are ") +
                       possible);
  }
};

}  // namespace meshattn
