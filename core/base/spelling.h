#pragma once

#include <span>
#include <string_view>

namespace meshattn {

/// The candidate that `given` is most likely a misspelling of, or nothing if none is close.
[[nodiscard]] std::string_view nearest(std::string_view given, std::span<const std::string_view> candidates);

}  // namespace meshattn
