#include <algorithm>
#include <cmath>

#include "experiments/measure/benchmark_runner.h"

namespace meshattn {

Exchanges exchanges(const Schedule& s, const Trace& trace, std::size_t from) {
  Exchanges all;
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::size_t seen = 0;
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      if (!std::holds_alternative<Exchange>(s.ops[op]) || seen++ < from) continue;
      const std::size_t k = seen - 1 - from;
      if (k == all.end_s.size()) all.begin_s.push_back(0), all.end_s.push_back(0);
      all.begin_s[k] = std::max(all.begin_s[k], trace.start_s[op]);
      all.end_s[k] = std::max(all.end_s[k], trace.end_s[op]);
    }
  }
  return all;
}

namespace {

double bytes_of_message(const Schedule& s) { return static_cast<double>(s.bytes(s.transfers.back().made)); }

/// Bytes/s, by how much longer the largest messages took than those before; by themselves if there are no others.
double bandwidth_of(const std::vector<StartupPoint>& took) {
  const StartupPoint& last = took.back();
  const double reached = last.bytes / last.seconds;
  if (took.size() == 1) return reached;
  const StartupPoint& before = took[took.size() - 2];
  const double bytes_per_s = (last.bytes - before.bytes) / std::max(1e-12, last.seconds - before.seconds);
  return std::clamp(bytes_per_s, reached, 2 * reached);  // the difference of two times may be noise
}

/// From one rank to another: a bandwidth, and what messages of each size take beyond it. As many of the largest go
/// before them, so that what the host needs to issue them is not counted.
void messages(const BenchmarkRunner& bench, LinkCalibration& made) {
  const std::vector<Pair> pair{{0, 1}};
  std::vector<StartupPoint> took;
  const std::vector<std::int64_t>& sizes = bench.request().message_tokens;
  for (std::int64_t tokens : sizes) {
    const auto pieces = static_cast<int>(std::min<std::int64_t>(sizes.back() / tokens, kMaxCuts));
    const Schedule s = schedule_of({.shape = bench.shape(pieces, sizes.back()),
                                    .pairs = pair,
                                    .exchanges = 2 * kRepetitions,
                                    .pieces = pieces,
                                    .whole = kRepetitions});
    const std::vector<double> times = exchanges(s, bench.run(s).trace, kRepetitions).seconds();
    took.push_back({bytes_of_message(s), median(times)});
    made.uncertainty = uncertainty_of(times);
  }
  made.bytes_per_s = bandwidth_of(took);
  for (const StartupPoint& t : took)
    made.startups.push_back({t.bytes, std::max(0.0, t.seconds - t.bytes / made.bytes_per_s)});
}

/// Bytes/s of the largest messages, all pairs together, from when the first has come to when the last has, without
/// their start-ups (of another pair: no more than half of it); and the spread of one.
std::pair<double, double> rate_of(const BenchmarkRunner& bench, const LinkCalibration& made,
                                  const std::vector<Pair>& pairs) {
  const Schedule s = schedule_of(
      {.shape = bench.shape(1, bench.request().message_tokens.back()), .pairs = pairs, .exchanges = kRepetitions});
  const Exchanges all = exchanges(s, bench.run(s).trace);
  const double each_s = (all.end_s.back() - all.end_s.front()) / (kRepetitions - 1);
  const double flow_s = std::max({1e-12, each_s / 2, each_s - made.startups.back().seconds});
  return {static_cast<double>(pairs.size()) * bytes_of_message(s) / flow_s, uncertainty_of(all.seconds())};
}

/// Likewise; no less than one pair alone reaches, no more than as many.
std::pair<double, double> at_once(const BenchmarkRunner& bench, const LinkCalibration& made,
                                  const std::vector<Pair>& pairs) {
  const auto [bytes_per_s, uncertainty] = rate_of(bench, made, pairs);
  return {std::clamp(bytes_per_s, made.bytes_per_s, static_cast<double>(pairs.size()) * made.bytes_per_s), uncertainty};
}

}  // namespace

std::vector<PathRate> calibrate_paths(const BenchmarkRunner& bench, const LinkCalibration& links) {
  std::vector<PathRate> paths;
  for (Rank from = 0; from < bench.request().ranks; ++from)
    for (Rank to = from + 1; to < bench.request().ranks; ++to)
      paths.push_back({from, to, rate_of(bench, links, {{from, to}}).first});
  std::ranges::sort(paths, {}, &PathRate::bytes_per_s);
  return paths;
}

LinkCalibration calibrate_links(const BenchmarkRunner& bench) {
  const int ranks = bench.request().ranks;
  LinkCalibration made;
  messages(bench, made);
  made.both_ways = at_once(bench, made, {{0, 1}, {1, 0}}).first / 2 / made.bytes_per_s;
  std::vector<Pair> ring, all;
  for (Rank from = 0; from < ranks; ++from) {
    ring.emplace_back(from, (from + 1) % ranks);
    for (Rank to = 0; to < ranks; ++to)
      if (from != to) all.emplace_back(from, to);
  }
  std::tie(made.shared_bytes_per_s, made.shared_uncertainty) = at_once(bench, made, ring);
  if (bench.request().options.ranks_per_device == 1) made.all_to_all_bytes_per_s = rate_of(bench, made, all).first;
  return made;
}

}  // namespace meshattn
