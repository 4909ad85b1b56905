#include "experiments/cli/units.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "core/base/error.h"
#include "core/base/ini_file.h"

namespace meshattn {

namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view where, std::string_view right) {
  throw InvalidInput(fmt::format("{} must be {}, not '{}'", where, right, printable(text)));
}

/// All of `text` as a whole number without a sign.
std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t number = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "16x8", both from 1.
std::optional<Tile> product(std::string_view text) {
  const auto x = text.find('x');
  const auto rows = whole(text.substr(0, x));
  const auto columns = x == std::string_view::npos ? std::nullopt : whole(text.substr(x + 1));
  constexpr std::int64_t kMost = 1 << 20;
  if (!rows || !columns || *rows < 1 || *columns < 1 || *rows > kMost || *columns > kMost) return std::nullopt;
  return Tile{static_cast<int>(*rows), static_cast<int>(*columns)};
}

}  // namespace

std::int64_t parse_tokens(std::string_view text, std::string_view where) {
  std::string_view digits = text;
  std::int64_t unit = 1;
  if (!digits.empty() && (digits.back() == 'K' || digits.back() == 'M')) {
    unit = digits.back() == 'K' ? 1024 : 1024 * 1024;
    digits.remove_suffix(1);
  }
  const auto number = whole(digits);
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
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

Tile parse_tile(std::string_view text, std::string_view where) {
  if (const auto tile = product(text)) return *tile;
  refuse(text, where, "AxB, A query chunks by B key/value chunks, such as 16x8");
}

PlacementRule parse_placement(std::string_view text, std::string_view where) {
  constexpr std::string_view kGrid = "grid:";
  if (text == "linear") return LinearRule{};
  if (text == "search") return SearchRule{};
  if (text.starts_with(kGrid))
    if (const auto places = product(text.substr(kGrid.size()))) return Grid{places->rows, places->columns};
  refuse(text, where, "linear, grid:SxT, S places of a tile's row by T of its column on a node, or search");
}

std::vector<Rank> parse_ranks(std::string_view text, std::string_view where, int ranks) {
  std::vector<bool> chosen(static_cast<std::size_t>(ranks));
  std::string_view rest = text;
  while (true) {
    const std::string_view part = rest.substr(0, rest.find(','));
    const auto dash = part.find('-');
    const auto first = whole(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : whole(part.substr(dash + 1));
    if (!first || !last || *first > *last) refuse(text, where, "numbers and ranges such as 0-7,64");
    if (*last >= ranks) refuse(text, where, fmt::format("ranks from 0 to {}", ranks - 1));
    for (std::int64_t r = *first; r <= *last; ++r) chosen[static_cast<std::size_t>(r)] = true;
    if (part.size() == rest.size()) break;
    rest.remove_prefix(part.size() + 1);
  }
  std::vector<Rank> list;
  for (Rank r = 0; r < ranks; ++r)
    if (chosen[static_cast<std::size_t>(r)]) list.push_back(r);
  return list;
}

}  // namespace meshattn
