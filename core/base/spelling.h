#pragma once

#include <span>
#include <string_view>

namespace meshattn {

/// The candidate that `given` begins or most likely misspells; empty if none is close.
[[nodiscard]] std::string_view nearest(std::string_view given, std::span<const std::string_view> candidates);

}  // namespace meshattn
