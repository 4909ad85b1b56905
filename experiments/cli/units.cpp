#include "experiments/cli/units.h"

#include <spdlog/fmt/fmt.h>

#include <optional>

#include "core/base/error.h"
#include "core/base/numbers.h"

namespace meshattn {

namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view where, std::string_view right) {
  throw InvalidInput(fmt::format("{} must be {}, not '{}'", where, right, printable(text)));
}

/// "16x8", both from 1.
std::optional<Tile> product(std::string_view text) {
  const auto x = text.find('x');
  const auto rows = whole_number(text.substr(0, x));
  const auto columns = x == std::string_view::npos ? std::nullopt : whole_number(text.substr(x + 1));
  constexpr std::int64_t kMost = 1 << 20;
  if (!rows || !columns || *rows < 1 || *columns < 1 || *rows > kMost || *columns > kMost) return std::nullopt;
  return Tile{static_cast<int>(*rows), static_cast<int>(*columns)};
}

}  // namespace

Tile parse_tile(std::string_view text, std::string_view where) {
  if (const auto tile = product(text)) return *tile;
  refuse(text, where, "AxB, A query chunks by B key/value chunks, such as 16x8");
}

PlacementRule parse_placement(std::string_view text, std::string_view where) {
  constexpr std::string_view kGrid = "grid:";
  if (text == "linear") return LinearRule{};
  if (text == "search") return SearchRule{};
  if (text.starts_with(kGrid))
    if (const auto slots = product(text.substr(kGrid.size()))) return Grid{slots->rows, slots->columns};
  refuse(text, where, "linear, grid:SxT, S slots of a tile's row by T of its column on a node, or search");
}

std::vector<Rank> parse_ranks(std::string_view text, std::string_view where, int ranks) {
  std::vector<bool> chosen(static_cast<std::size_t>(ranks));
  std::string_view rest = text;
  while (true) {
    const std::string_view part = rest.substr(0, rest.find(','));
    const auto dash = part.find('-');
    const auto first = whole_number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : whole_number(part.substr(dash + 1));
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
