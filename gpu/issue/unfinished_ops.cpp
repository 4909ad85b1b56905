#include "gpu/issue/unfinished_ops.h"

#include <spdlog/fmt/fmt.h>

#include <vector>

namespace meshattn::gpu {

namespace {

std::string describe(const Schedule& s, Rank rank, OpId op) {
  std::string text = fmt::format("rank {} at op {}: {} on lane {}", rank, op - s.ops_begin(rank), name_of(s.ops[op]),
                                 s.lane(s.ops[op]));
  const auto* exchange = std::get_if<Exchange>(&s.ops[op]);
  if (exchange == nullptr) return text;
  std::vector<std::string> ends;
  for (TransferId t : s.transfers_of(*exchange)) {
    const Value &source = s.values[s.transfers[t].source], &made = s.values[s.transfers[t].made];
    ends.push_back(source.rank == rank ? fmt::format("{} to {}", name_of(made.tensor), made.rank)
                                       : fmt::format("{} from {}", name_of(made.tensor), source.rank));
  }
  return fmt::format("{} ({})", text, fmt::join(ends, ", "));
}

}  // namespace

std::string unfinished_ops_text(const Schedule& s, std::span<const Rank> ranks,
                                const std::function<bool(OpId)>& has_ended) {
  std::string text;
  for (Rank rank : ranks)
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      if (has_ended(op)) continue;
      text += fmt::format("{}{}", text.empty() ? "" : "; ", describe(s, rank, op));
      break;
    }
  return text.empty() ? "nothing" : text;
}

}  // namespace meshattn::gpu
