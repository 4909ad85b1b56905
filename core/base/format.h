#pragma once

#include <cstdint>
#include <string>

namespace meshattn {

// Figures as people read them; units are decimal.

[[nodiscard]] std::string time_text(double seconds);    ///< "343.510 ms"
[[nodiscard]] std::string bytes_text(double bytes);     ///< "67.11 MB"
[[nodiscard]] std::string percent_text(double share);   ///< "12.3 %"
[[nodiscard]] std::string count_text(std::uint64_t n);  ///< "1,310,720"

}  // namespace meshattn
