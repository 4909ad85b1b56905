#include "core/execution/engine.h"

#include <spdlog/fmt/fmt.h>

namespace meshattn {

std::string deadlock_text(const Schedule& schedule, std::span<const LanePosition> positions, double now_s) {
  constexpr int kNamed = 4;
  const auto lanes = positions.size() / static_cast<std::size_t>(schedule.problem.ranks);
  int ranks = 0;
  std::string where;
  for (Rank rank = 0; rank < schedule.problem.ranks; ++rank) {
    bool rank_stuck = false;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const LanePosition& p = positions[static_cast<std::size_t>(rank) * lanes + lane];
      if (p.op == schedule.ops_end(rank)) continue;
      if (ranks < kNamed)
        where += fmt::format("{}rank {} lane {} {} op {}", where.empty() ? "" : ", ", rank, lane,
                             p.running ? "in" : "before", p.op);
      rank_stuck = true;
    }
    ranks += rank_stuck;
  }
  if (ranks == 0) return "";
  return fmt::format("deadlock after {:.9g} s: {} of {} ranks are stuck ({}{})", now_s, ranks, schedule.problem.ranks,
                     where, ranks > kNamed ? ", …" : "");
}

}  // namespace meshattn
