#include <algorithm>
#include <cmath>

#include "experiments/measure/calibration/benchmark_runner.h"

namespace meshattn {

ExchangeTimes exchange_times(const Schedule& s, const Trace& trace, std::size_t skipped) {
  ExchangeTimes all;
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::size_t seen = 0;
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      if (!std::holds_alternative<Exchange>(s.ops[op]) || seen++ < skipped) continue;
      const std::size_t k = seen - 1 - skipped;
      if (k == all.end_s.size()) all.begin_s.push_back(0), all.end_s.push_back(0);
      all.begin_s[k] = std::max(all.begin_s[k], trace.start_s[op]);
      all.end_s[k] = std::max(all.end_s[k], trace.end_s[op]);
    }
  }
  return all;
}

namespace {

double bytes_of_message(const Schedule& s) { return static_cast<double>(s.bytes(s.transfers.back().made)); }

/// Bytes/s by the difference in time and size of the two largest messages, or of the only one.
double bandwidth_of(const std::vector<StartupPoint>& points) {
  const StartupPoint& last = points.back();
  const double reached = last.bytes / last.seconds;
  if (points.size() == 1) return reached;
  const StartupPoint& before = points[points.size() - 2];
  const double bytes_per_s = (last.bytes - before.bytes) / std::max(1e-12, last.seconds - before.seconds);
  return std::clamp(bytes_per_s, reached, 2 * reached);  // the difference of two times may be noise
}

/// Messages from one rank to another: the bandwidth, and the start-up of each size. As many of the largest go before
/// them, so that the host has issued them in time.
void messages(const BenchmarkRunner& bench, LinkCalibration& links) {
  const std::vector<Pair> pair{{0, 1}};
  std::vector<StartupPoint> points;
  const std::vector<std::int64_t>& sizes = bench.request().message_tokens;
  for (std::int64_t tokens : sizes) {
    const auto pieces = static_cast<int>(std::min<std::int64_t>(sizes.back() / tokens, kMaxCuts));
    const Schedule s = schedule_of({.shape = bench.shape(pieces, sizes.back()),
                                    .pairs = pair,
                                    .exchanges = 2 * kRepetitions,
                                    .pieces = pieces,
                                    .whole_exchanges = kRepetitions});
    const std::vector<double> times = exchange_times(s, bench.run(s).trace, kRepetitions).seconds();
    points.push_back({bytes_of_message(s), median(times)});
    links.uncertainty = uncertainty_of(times);
  }
  links.bytes_per_s = bandwidth_of(points);
  for (const StartupPoint& t : points)
    links.startups.push_back({t.bytes, std::max(0.0, t.seconds - t.bytes / links.bytes_per_s)});
}

/// Bytes/s of the largest messages, all pairs together, and the uncertainty of one message. Timed from the arrival of
/// the first to that of the last, less their start-ups (at most half of the time, as start-ups differ by pair).
std::pair<double, double> rate_of(const BenchmarkRunner& bench, const LinkCalibration& links,
                                  const std::vector<Pair>& pairs) {
  const Schedule s = schedule_of(
      {.shape = bench.shape(1, bench.request().message_tokens.back()), .pairs = pairs, .exchanges = kRepetitions});
  const ExchangeTimes all = exchange_times(s, bench.run(s).trace);
  const double each_s = (all.end_s.back() - all.end_s.front()) / (kRepetitions - 1);
  const double flow_s = std::max({1e-12, each_s / 2, each_s - links.startups.back().seconds});
  return {static_cast<double>(pairs.size()) * bytes_of_message(s) / flow_s, uncertainty_of(all.seconds())};
}

/// As rate_of, limited to what one pair reaches alone, and to as many times that as there are pairs.
std::pair<double, double> limited_rate(const BenchmarkRunner& bench, const LinkCalibration& links,
                                       const std::vector<Pair>& pairs) {
  const auto [bytes_per_s, uncertainty] = rate_of(bench, links, pairs);
  return {std::clamp(bytes_per_s, links.bytes_per_s, static_cast<double>(pairs.size()) * links.bytes_per_s),
          uncertainty};
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
  LinkCalibration links;
  messages(bench, links);
  links.both_ways = limited_rate(bench, links, {{0, 1}, {1, 0}}).first / 2 / links.bytes_per_s;
  std::vector<Pair> ring, all;
  for (Rank from = 0; from < ranks; ++from) {
    ring.emplace_back(from, (from + 1) % ranks);
    for (Rank to = 0; to < ranks; ++to)
      if (from != to) all.emplace_back(from, to);
  }
  std::tie(links.shared_bytes_per_s, links.shared_uncertainty) = limited_rate(bench, links, ring);
  if (bench.request().options.ranks_per_device == 1) links.all_to_all_bytes_per_s = rate_of(bench, links, all).first;
  return links;
}

}  // namespace meshattn
