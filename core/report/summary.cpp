#include "core/report/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/report/waits.h"

namespace meshattn {

namespace {

struct Compute {
  double busiest = 0;
  double mean = 0;
};

/// How long the compute lanes of all ranks were busy, and not with what their hosts had still to issue.
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

/// Times in a trace are whole picoseconds, rounded up: a bound is not to be above them by the rounding of a sum.
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

Volume added(const Volume& a, const Volume& b) {
  return {a.bytes_received_avg + b.bytes_received_avg,      a.bytes_received_max + b.bytes_received_max,
          a.chunks_received_avg + b.chunks_received_avg,    a.inter_node_bytes_avg + b.inter_node_bytes_avg,
          a.inter_node_bytes_max + b.inter_node_bytes_max,  a.inter_node_chunks_avg + b.inter_node_chunks_avg,
          a.inter_node_chunks_max + b.inter_node_chunks_max};
}

/// Puts what has the same name together by `add`.
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

Summary summarise(const Schedule& s, const Network& network, const CostModel& cost, const Trace& trace,
                  const WallTimes& wall) {
  Summary sum;
  sum.placed = network.placement().name;
  const OpTimes times = cost.times(s);
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
  Summary sum;
  sum.placed = a.placed;
  sum.slices = std::max(a.slices, b.slices);
  sum.makespan_s = a.makespan_s + b.makespan_s;
  for (std::size_t i = 0; i < a.corners_s.size(); ++i) sum.corners_s.push_back(a.corners_s[i] + b.corners_s[i]);
  sum.compute_s = a.compute_s + b.compute_s;
  const double mean = (1 - a.waiting) * a.makespan_s + (1 - b.waiting) * b.makespan_s;
  sum.waiting = sum.makespan_s > 0 ? 1 - mean / sum.makespan_s : 0;
  sum.compute_balance = mean > 0 ? std::max(1.0, sum.compute_s / mean) : 1;
  const std::string &link = a.bounds.busiest_link, &next = b.bounds.busiest_link;
  sum.bounds = {a.bounds.compute_s + b.bounds.compute_s, a.bounds.busiest_link_s + b.bounds.busiest_link_s,
                link == next || next.empty() ? link
                : link.empty()               ? next
                                             : link + ", then " + next};
  sum.problem_bound_s = a.problem_bound_s + b.problem_bound_s;
  sum.volume = added(a.volume, b.volume);
  sum.peak_bytes = std::max(a.peak_bytes, b.peak_bytes);
  sum.transfers = a.transfers + b.transfers;
  sum.ops = a.ops + b.ops;
  sum.wall = {a.wall.plan_s + b.wall.plan_s, a.wall.verify_s + b.wall.verify_s, a.wall.simulate_s + b.wall.simulate_s};
  sum.links = merged(a.links, b.links, &LinkUse::name, [](LinkUse& to, const LinkUse& from) {
    to.bytes += from.bytes;
    to.busy_s += from.busy_s;
  });
  sort_links(sum.links, sum.makespan_s);
  sum.waits =
      ranked(merged(a.waits, b.waits, &Wait::what, [](Wait& to, const Wait& from) { to.seconds += from.seconds; }));
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
