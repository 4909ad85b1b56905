#include "core/execution/cpu/progress.h"

#include <spdlog/fmt/fmt.h>

namespace meshattn::cpu {

std::vector<LaneProgress> lanes_of(const Schedule& s) {
  std::vector<LaneProgress> lanes;
  const auto count = static_cast<std::size_t>(s.lanes());
  for (Rank r = 0; r < s.problem.ranks; ++r) {
    std::vector<std::vector<OpId>> ops(count);
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) ops[s.lane(s.ops[op])].push_back(op);
    for (std::size_t lane = 0; lane < count; ++lane)
      if (!ops[lane].empty()) lanes.push_back({r, static_cast<Lane>(lane), std::move(ops[lane])});
  }
  return lanes;
}

std::string describe_deadlock(std::span<const LaneProgress> lanes) {
  constexpr std::size_t kMost = 4;
  std::string text = "deadlock:";
  std::size_t stuck = 0;
  for (const LaneProgress& lane : lanes) {
    if (lane.done() || ++stuck > kMost) continue;
    text += fmt::format("{} rank {} lane {} {} op {}", stuck == 1 ? "" : ",", lane.rank, lane.lane,
                        lane.started ? "cannot end" : "cannot start", lane.ops[lane.next]);
  }
  if (stuck > kMost) text += fmt::format(", and {} more lanes", stuck - kMost);
  return text;
}

}  // namespace meshattn::cpu
