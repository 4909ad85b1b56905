#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace meshattn {

// Numbers in text. Each parser reads all of the text or throws InvalidInput with a message that begins with `where` and
// says what would be right.

/// Bounds of every number of a data file other than 0: products of units stay finite.
inline constexpr double kSmallestNumber = 1e-9, kLargestNumber = 1e12;

/// A whole number without a sign; nothing if the text is anything else.
[[nodiscard]] std::optional<std::int64_t> whole_number(std::string_view text);

/// A finite decimal number.
[[nodiscard]] double parse_number(std::string_view text, std::string_view where);

/// A whole number from `least` to 10⁹.
[[nodiscard]] int parse_count(std::string_view text, std::string_view where, int least = 1);

/// A number of tokens from 1 to 2⁴⁰: "4096", "64K" (1,024 each), "1M" (1,048,576).
[[nodiscard]] std::int64_t parse_tokens(std::string_view text, std::string_view where);

/// A number of bytes in decimal units: "80G" is 8e10; "512M", "1.5G", "1000".
[[nodiscard]] std::uint64_t parse_bytes(std::string_view text, std::string_view where);

}  // namespace meshattn
