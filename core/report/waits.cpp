#include "core/report/waits.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>

#include "core/schedule/dependencies.h"

namespace meshattn {

namespace {

/// Tensors that `op` reads from the exchange `after`: "KV", "Q+dO+delta"; empty if it reads none, or `after` is no
/// exchange.
std::string tensors_read(const Schedule& s, Rank rank, OpId op, OpId after) {
  const auto* exchange = std::get_if<Exchange>(&s.ops[after]);
  if (exchange == nullptr) return {};
  std::vector<ValueId> read;
  for_each_operand(
      s, s.ops[op], rank, [&](ValueId v) { read.push_back(v); }, [](ValueId) {});
  std::vector<Tensor> tensors;
  for (TransferId t : s.transfers_of(*exchange))
    if (std::ranges::find(read, s.transfers[t].made) != read.end())
      tensors.push_back(s.values[s.transfers[t].made].tensor);
  std::ranges::sort(tensors);
  tensors.erase(std::unique(tensors.begin(), tensors.end()), tensors.end());
  std::string names;
  for (Tensor t : tensors) names.append(names.empty() ? "" : "+").append(name_of(t));
  return names;
}

/// Idle seconds by cause.
using Idle = std::map<std::string, double>;

/// Adds the idle time before an op to its causes: until the last of `after` ended, what that op brought; then "start".
/// The compute lane is free from `free_from` on.
void add_waits(const Schedule& s, const Trace& trace, std::span<const OpId> after, Rank rank, OpId op, double free_from,
               Idle& idle) {
  double ready = free_from;
  if (!after.empty()) {
    const OpId last = *std::ranges::max_element(after, {}, [&](OpId a) { return trace.end_s[a]; });
    ready = std::clamp(trace.end_s[last], free_from, std::max(free_from, trace.start_s[op]));
    const std::string tensors = tensors_read(s, rank, op, last);
    if (ready > free_from) idle[tensors.empty() ? "memory" : tensors] += ready - free_from;
  }
  if (trace.start_s[op] > ready) idle["start"] += trace.start_s[op] - ready;
}

}  // namespace

std::vector<Wait> ranked(std::vector<Wait> waits) {
  double idle = 0;
  for (const Wait& w : waits) idle += w.seconds;
  for (Wait& w : waits) w.share = idle > 0 ? w.seconds / idle : 0;
  std::ranges::stable_sort(waits, std::greater{}, &Wait::seconds);
  return waits;
}

double unissued_s(const Trace& trace, const OpTimes& times, OpId op) {
  constexpr double kSame_s = 1e-9;
  const bool host_ended_it = !times.issued_s.empty() && std::abs(trace.end_s[op] - times.earliest_end_s(op)) < kSame_s;
  return host_ended_it ? std::max(0.0, trace.end_s[op] - trace.start_s[op] - times.seconds[op]) : 0;
}

std::vector<Wait> waits_of(const Schedule& s, const Trace& trace, const OpTimes& times) {
  const Dependencies dependencies(s);
  Idle idle;
  for (Rank r = 0; r < s.problem.ranks; ++r) {
    double free_from = 0;
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op) {
      if (s.lane(s.ops[op]) != kComputeLane) continue;
      add_waits(s, trace, dependencies.of(op), r, op, free_from, idle);
      if (const double unissued = unissued_s(trace, times, op); unissued > 0) idle["start"] += unissued;
      free_from = trace.end_s[op];
    }
    if (trace.makespan_s > free_from) idle["end"] += trace.makespan_s - free_from;
  }
  std::vector<Wait> waits;
  for (const auto& [what, seconds] : idle) waits.push_back({what, seconds / s.problem.ranks, 0});
  return ranked(std::move(waits));
}

}  // namespace meshattn
