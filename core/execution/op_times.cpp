#include "core/execution/op_times.h"

namespace meshattn {

void OpTimes::set_issue_times(const Schedule& s, double host_s_per_op) {
  host_s = host_s_per_op;
  issued_s.clear();
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    double now_s = 0;
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      issued_s.push_back(now_s);
      if (s.lane(s.ops[op]) == kComputeLane) now_s += host_s;
    }
  }
}

}  // namespace meshattn
