#include "core/schedule/dependencies.h"

#include <algorithm>
#include <array>

namespace meshattn {

namespace {

/// Collects the last op of each lane that one op waits for.
class LastOfLanes {
 public:
  void add(Lane lane, OpId op) {
    OpId& latest = latest_[lane];
    if (latest == kNone) lanes_.push_back(lane);
    latest = latest == kNone ? op : std::max(latest, op);
  }

  /// Appends the collected ops to `ops` and clears the collection.
  void flush(std::vector<OpId>& ops) {
    for (Lane lane : lanes_) {
      ops.push_back(latest_[lane]);
      latest_[lane] = kNone;
    }
    lanes_.clear();
  }

 private:
  static constexpr auto kEmpty = [] {
    std::array<OpId, 256> none{};
    none.fill(kNone);
    return none;
  }();
  std::array<OpId, 256> latest_ = kEmpty;
  std::vector<Lane> lanes_;
};

}  // namespace

Dependencies::Dependencies(const Schedule& s) {
  std::vector<OpId> maker(s.values.size(),
                          kNone);  // by value: the last so far; earlier contributors are on the same lane
  std::vector<Lane> lane_of(s.ops.size());
  first_.reserve(s.ops.size() + 1);
  after_.reserve(s.ops.size());
  first_.push_back(0);
  LastOfLanes awaited;
  auto wait = s.waits.begin();
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      const Lane lane = lane_of[op] = s.lane(s.ops[op]);
      const auto await = [&](OpId before) {
        if (before != kNone && lane_of[before] != lane) awaited.add(lane_of[before], before);
      };
      for_each_operand(
          s, s.ops[op], rank, [&](ValueId v) { await(maker[v]); }, [&](ValueId v) { maker[v] = op; });
      for (; wait != s.waits.end() && wait->op == op; ++wait) await(wait->after);
      awaited.flush(after_);
      first_.push_back(static_cast<std::uint32_t>(after_.size()));
    }
  }
}

}  // namespace meshattn
