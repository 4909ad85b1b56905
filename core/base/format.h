#pragma once

#include <cstdint>
#include <string>

namespace meshattn {

// Quantities as people read them, in decimal units.

[[nodiscard]] std::string time_text(double seconds);      ///< "343.510 ms"
[[nodiscard]] std::string bytes_text(double bytes);       ///< "67.11 MB"
[[nodiscard]] std::string percent_text(double fraction);  ///< 0.123: "12.3 %"
[[nodiscard]] std::string count_text(std::uint64_t n);    ///< "1,310,720"

}  // namespace meshattn
