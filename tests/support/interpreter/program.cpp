#include "tests/support/interpreter/program.h"

#include <algorithm>
#include <tuple>

namespace meshattn::testing::interpreter {

Program::Program(const Schedule& schedule) : s(schedule), after(s.ops.size()), ends_of(s.ops.size()) {
  reads.resize(s.ops.size());
  makes.resize(s.ops.size());
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::map<Lane, std::vector<OpId>> by_lane;
    std::map<ValueId, std::vector<OpId>> makers;
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      rank_of.push_back(rank);
      by_lane[s.lane(s.ops[op])].push_back(op);
      list_op(rank, op, makers);
    }
    for (auto& [lane, ops] : by_lane) lanes.push_back({rank, lane, std::move(ops)});
  }
  for (const ReuseWait& wait : s.waits) after[wait.op].push_back(wait.after);
  match_ends();
  assign_bytes();
}

void Program::list_op(Rank rank, OpId op, std::map<ValueId, std::vector<OpId>>& makers) {
  const auto here = [&](ValueId v) {
    if (s.values[v].rank != rank) wrong("op {} of rank {} uses value {} of rank {}", op, rank, v, s.values[v].rank);
  };
  const auto read = [&](ValueId v) {
    here(v);
    reads[op].push_back(v);
    for (OpId maker : makers[v])
      if (maker != op) after[op].push_back(maker);
  };
  const auto make = [&](ValueId v) {
    here(v);
    if (std::ranges::find(makes[op], v) == makes[op].end()) makes[op].push_back(v);
  };
  for_each_operand(s, s.ops[op], rank, read, make);
  for (ValueId v : makes[op]) makers[v].push_back(op);
  if (const auto* x = std::get_if<Exchange>(&s.ops[op])) {
    for (TransferId t : s.transfers_of(*x)) {
      const Rank from = s.values[s.transfers[t].source].rank, to = s.values[s.transfers[t].made].rank;
      if (from != rank && to != rank)
        wrong("op {} of rank {} lists transfer {}, which is between other ranks", op, rank, t);
      for (bool sends : {true, false}) {
        if ((sends ? from : to) != rank) continue;
        ends_of[op].push_back(ends.size());
        ends.push_back({op, t, sends});
      }
    }
  }
}

void Program::match_ends() {
  std::map<std::tuple<Rank, Rank, Lane>, std::vector<std::size_t>> sent, received;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const Transfer& t = s.transfers[ends[i].transfer];
    (ends[i].sends ? sent : received)[{s.values[t.source].rank, s.values[t.made].rank, t.lane}].push_back(i);
  }
  for (const auto& [channel, out] : sent) {
    const std::vector<std::size_t>& in = received[channel];
    for (std::size_t i = 0; i < std::min(in.size(), out.size()); ++i) {
      ends[in[i]].partner = out[i];
      ends[out[i]].partner = in[i];
    }
  }
}

void Program::assign_bytes() {
  arena.assign(static_cast<std::size_t>(s.problem.ranks), s.offset.empty() ? 0 : s.peak_bytes);
  for (ValueId v = 0; v < s.values.size(); ++v) {
    std::uint64_t& end = arena[static_cast<std::size_t>(s.values[v].rank)];
    bytes.push_back(s.bytes(v));
    offset.push_back(s.offset.empty() ? end : s.offset[v]);
    if (s.offset.empty()) end += bytes[v];
    if (offset[v] + bytes[v] > end) wrong("value {} is outside the arena", v);
  }
}

}  // namespace meshattn::testing::interpreter
