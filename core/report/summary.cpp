#include "core/report/summary.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "core/report/summary_keys.h"
#include "core/report/waits.h"

namespace meshattn {

namespace {

/// Busy time of compute lanes, seconds.
struct Compute {
  double busiest = 0;
  double mean = 0;
};

/// Busy times over all ranks, without the time in which a lane only waited for its host to issue the rest of an op.
Compute compute_of(const Schedule& s, const Trace& trace, const OpTimes& times) {
  Compute all;
  for (Rank r = 0; r < s.problem.ranks; ++r) {
    double busy = 0;
    for (OpId op = s.ops_begin(r); op < s.ops_end(r); ++op)
      if (s.lane(s.ops[op]) == kComputeLane) busy += trace.end_s[op] - trace.start_s[op] - unissued_s(trace, times, op);
    all.busiest = std::max(all.busiest, busy);
    all.mean += busy;
  }
  all.mean /= s.problem.ranks;
  return all;
}

/// Rounds a bound down, so that it does not exceed a trace's times, which are whole picoseconds, by rounding.
double down_to_picoseconds(double seconds) { return std::floor(seconds * 1e12 + 0.01) / 1e12; }

void sort_links(std::vector<LinkUse>& links, double makespan_s) {
  for (LinkUse& link : links) link.utilisation = makespan_s > 0 ? link.busy_s / makespan_s : 0;
  std::ranges::stable_sort(links, std::greater{}, &LinkUse::busy_s);
}

std::vector<LinkUse> link_uses(const Schedule& s, const Network& network, double makespan_s) {
  std::vector<double> bytes(network.links().size());
  for (const Transfer& t : s.transfers)
    for (LinkId link : network.route(s.values[t.source].rank, s.values[t.made].rank))
      bytes[link] += static_cast<double>(s.bytes(t.made));
  std::vector<LinkUse> uses;
  for (LinkId link = 0; link < bytes.size(); ++link) {
    const Link& l = network.links()[link];
    if (bytes[link] > 0) uses.push_back({l.name, bytes[link], bytes[link] / l.bytes_per_s, 0});
  }
  sort_links(uses, makespan_s);
  return uses;
}

/// The items of both lists, those of the same name combined by add(to, more).
template <typename T, typename Name, typename Add>
std::vector<T> merged(std::vector<T> all, const std::vector<T>& more, Name name, Add add) {
  all.insert(all.end(), more.begin(), more.end());
  std::ranges::stable_sort(all, {}, name);
  std::vector<T> result;
  for (const T& item : all)
    if (!result.empty() && result.back().*name == item.*name)
      add(result.back(), item);
    else
      result.push_back(item);
  return result;
}

}  // namespace

double problem_bound_s(const Problem& p, const Network& network, const CostModel& cost) {
  const double work = flops(total_pairs(p), p.shape.head_dim, p.pass) * p.shape.heads * p.shape.batch;
  return work / std::min<double>(p.ranks, network.nodes() * network.processors()) / cost.best_flops_per_s();
}

Summary summarise(const Schedule& s, const Network& network, const CostModel& cost, const OpTimes& times,
                  const Trace& trace, const WallTimes& wall) {
  Summary sum;
  sum.placed = network.placement().name;
  const Compute busy = compute_of(s, trace, times);
  sum.makespan_s = trace.makespan_s;
  sum.compute_s = busy.busiest;
  sum.waiting = trace.makespan_s > 0 ? std::max(0.0, 1 - busy.mean / trace.makespan_s) : 0;  // not below by rounding
  sum.compute_balance = busy.mean > 0 ? std::max(1.0, busy.busiest / busy.mean) : 1;         // not below by rounding
  sum.links = link_uses(s, network, trace.makespan_s);
  sum.bounds.compute_s = down_to_picoseconds(busiest_compute_s(s, network, times.seconds));
  if (!sum.links.empty()) {
    sum.bounds.busiest_link_s = down_to_picoseconds(sum.links.front().busy_s);
    sum.bounds.busiest_link = sum.links.front().name;
  }
  sum.problem_bound_s = problem_bound_s(s.problem, network, cost);
  sum.volume = volume_of(s, network);
  sum.peak_bytes = s.peak_bytes;
  sum.transfers = s.transfers.size();
  sum.ops = s.ops.size();
  sum.wall = wall;
  sum.waits = waits_of(s, trace, times);
  return sum;
}

Summary one_after_other(const Summary& a, const Summary& b) {
  Summary sum = a;
  for_each_key([&](std::string_view, Total total, auto... members) {
    auto& to = member_of(sum, members...);
    const auto& more = member_of(b, members...);
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(to)>>) {
      if (total == Total::kSum) to += more;
      if (total == Total::kMax) to = std::max(to, more);
    } else if constexpr (std::is_same_v<decltype(to), std::vector<double>&>) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] += more[i];
    }
  });
  const double busy_s = (1 - a.waiting) * a.makespan_s + (1 - b.waiting) * b.makespan_s;  // mean over ranks
  sum.waiting = sum.makespan_s > 0 ? 1 - busy_s / sum.makespan_s : 0;
  sum.compute_balance = busy_s > 0 ? std::max(1.0, sum.compute_s / busy_s) : 1;
  const std::string &first = a.bounds.busiest_link, &second = b.bounds.busiest_link;
  if (first.empty()) sum.bounds.busiest_link = second;
  if (!first.empty() && !second.empty() && first != second) sum.bounds.busiest_link = first + ", then " + second;
  sum.links = merged(a.links, b.links, &LinkUse::name, [](LinkUse& to, const LinkUse& more) {
    to.bytes += more.bytes;
    to.busy_s += more.busy_s;
  });
  sort_links(sum.links, sum.makespan_s);
  sum.waits =
      ranked(merged(a.waits, b.waits, &Wait::what, [](Wait& to, const Wait& more) { to.seconds += more.seconds; }));
  return sum;
}

std::pair<double, double> range_s(const Summary& s) {
  std::pair<double, double> range{s.makespan_s, s.makespan_s};
  for (double corner_s : s.corners_s) range = {std::min(range.first, corner_s), std::max(range.second, corner_s)};
  return range;
}

std::string near_bound(const Summary& s) {
  const double largest = std::max(s.bounds.compute_s, s.bounds.busiest_link_s);
  if (largest < 0.75 * s.makespan_s) return "latency";
  return s.bounds.compute_s >= s.bounds.busiest_link_s ? "compute" : s.bounds.busiest_link;
}

}  // namespace meshattn
