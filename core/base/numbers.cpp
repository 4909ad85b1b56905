#include "core/base/numbers.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace meshattn {

namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view where, std::string_view right) {
  throw InvalidInput(fmt::format("{} must be {}, not '{}'", where, right, printable(text)));
}

}  // namespace

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

double parse_number(std::string_view text, std::string_view where) {
  double x = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), x);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(x))
    refuse(text, where, "a finite decimal number");
  return x;
}

int parse_count(std::string_view text, std::string_view where, int least) {
  constexpr std::int64_t kMost = 1'000'000'000;
  const auto number = whole_number(text);
  if (!number || *number < least || *number > kMost)
    refuse(text, where, fmt::format("a whole number from {} to {}", least, kMost));
  return static_cast<int>(*number);
}

std::int64_t parse_tokens(std::string_view text, std::string_view where) {
  std::string_view digits = text;
  std::int64_t unit = 1;
  if (!digits.empty() && (digits.back() == 'K' || digits.back() == 'M')) {
    unit = digits.back() == 'K' ? 1024 : 1024 * 1024;
    digits.remove_suffix(1);
  }
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  const auto number = whole_number(digits);
  if (!number || *number < 1 || *number > kMost / unit)
    refuse(text, where, "a number of tokens such as 4096, 64K (K = 1024) or 1M (M = 1048576)");
  return *number * unit;
}

std::uint64_t parse_bytes(std::string_view text, std::string_view where) {
  std::string_view digits = text;
  double unit = 1;
  if (digits.ends_with('B')) digits.remove_suffix(1);
  for (const auto& [letter, bytes] : {std::pair{'K', 1e3}, {'M', 1e6}, {'G', 1e9}, {'T', 1e12}})
    if (digits.ends_with(letter)) {
      unit = bytes;
      digits.remove_suffix(1);
      break;
    }
  double number = 0;
  const bool starts_well = !digits.empty() && digits.front() >= '0' && digits.front() <= '9';
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed);
  if (!starts_well || error != std::errc() || end != digits.data() + digits.size() || number * unit < 1 ||
      number * unit > 1e18)
    refuse(text, where, "a number of bytes such as 80G (8e10 bytes), 512M or 1.5T");
  return static_cast<std::uint64_t>(std::llround(number * unit));
}

}  // namespace meshattn
