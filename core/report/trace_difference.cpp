#include "core/report/trace_difference.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/base/median.h"
#include "core/schedule/dependencies.h"

namespace meshattn {

namespace {

/// The ops that each op waits for, on any rank.
class Predecessors {
 public:
  explicit Predecessors(const Schedule& s) : s_(s), dependencies_(s), before_(s.ops.size(), kNone) {
    exchanges_.resize(s.transfers.size());
    std::vector<OpId> last(static_cast<std::size_t>(s.problem.ranks * s.lanes()), kNone);
    for (OpId op = 0; op < s.ops.size(); ++op) {
      const Rank rank = s.rank_of(op);
      before_[op] = std::exchange(last[static_cast<std::size_t>(rank * s.lanes() + s.lane(s.ops[op]))], op);
      if (const auto* exchange = std::get_if<Exchange>(&s.ops[op]))
        for (TransferId t : s.transfers_of(*exchange)) exchanges_[t].push_back(op);
    }
  }

  /// The op that ended last among those that `op` waited for; kNone if it waited for none.
  [[nodiscard]] OpId last_before(OpId op, const Trace& trace) const {
    OpId last = kNone;
    const auto consider = [&](OpId before) {
      if (before != kNone && (last == kNone || trace.end_s[before] > trace.end_s[last])) last = before;
    };
    const auto consider_all_before = [&](OpId one) {
      consider(before_[one]);
      for (OpId before : dependencies_.of(one)) consider(before);
    };
    consider_all_before(op);
    if (const auto* exchange = std::get_if<Exchange>(&s_.ops[op]))
      for (TransferId t : s_.transfers_of(*exchange))
        for (OpId other : exchanges_[t]) consider_all_before(other);
    return last;
  }

 private:
  const Schedule& s_;
  Dependencies dependencies_;
  std::vector<OpId> before_;                  ///< by op: the one before it on its lane
  std::vector<std::vector<OpId>> exchanges_;  ///< by transfer: its two exchanges
};

std::vector<KindDifference> kinds_of(const Schedule& s, const Trace& measured, const Trace& simulated) {
  std::map<std::size_t, KindDifference> kinds;  // by index in the variant
  std::map<std::size_t, std::vector<double>> errors;
  for (OpId op = 0; op < s.ops.size(); ++op) {
    const std::size_t kind = s.ops[op].index();
    const double m = measured.end_s[op] - measured.start_s[op], x = simulated.end_s[op] - simulated.start_s[op];
    KindDifference& k = kinds[kind];
    k.kind = name_of(s.ops[op]);
    ++k.ops;
    k.measured_s += m;
    k.simulated_s += x;
    if (m > 0) errors[kind].push_back(std::abs(x / m - 1));
  }
  std::vector<KindDifference> all;
  for (auto& [kind, k] : kinds) {
    if (!errors[kind].empty()) k.median_error = median(errors[kind]);
    all.push_back(k);
  }
  return all;
}

}  // namespace

TraceDifference difference(const Schedule& s, const Trace& measured, const Trace& simulated) {
  TraceDifference d{kinds_of(s, measured, simulated), {}};
  if (s.ops.empty()) return d;
  const Predecessors predecessors(s);
  OpId op = static_cast<OpId>(std::ranges::max_element(measured.end_s) - measured.end_s.begin());
  for (std::size_t steps = 0; op != kNone && steps < s.ops.size(); ++steps) {
    const OpId before = predecessors.last_before(op, measured);
    const auto since = [&](const Trace& t) { return t.end_s[op] - (before == kNone ? 0 : t.end_s[before]); };
    d.path.push_back({op, since(measured), since(simulated)});
    op = before;
  }
  std::ranges::reverse(d.path);
  return d;
}

}  // namespace meshattn
