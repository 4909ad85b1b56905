#include <algorithm>
#include <cmath>

#include "core/kernel_rates.h"
#include "experiments/calibration_bench.h"

namespace meshattn {

namespace {

constexpr int kInARow = 9, kMostInARow = 300;

/// When each of several exchanges in a row had begun at both ends, and when it ended.
struct Exchanges {
  std::vector<double> begin_s, end_s;

  [[nodiscard]] std::vector<double> seconds() const {
    std::vector<double> seconds;
    for (std::size_t k = 0; k < end_s.size(); ++k) seconds.push_back(end_s[k] - begin_s[k]);
    return seconds;
  }
};

/// @param from which of a rank's exchanges are the first that count
Exchanges exchanges(const Schedule& s, const Trace& trace, std::size_t from = 0) {
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

/// From one rank to another: a bandwidth, and what messages of each size take beyond it. One of the largest goes before
/// them, so that what the host needs to issue them is not counted.
void messages(const Bench& bench, LinkCalibration& made) {
  const std::vector<Pair> pair{{0, 1}};
  std::vector<StartupPoint> took;
  const std::vector<std::int64_t>& sizes = bench.request().message_tokens;
  for (std::int64_t tokens : sizes) {
    const auto pieces = static_cast<int>(std::min<std::int64_t>(sizes.back() / tokens, kMaxCuts));
    const Schedule s = schedule_of(
        {.shape = bench.shape(pieces, sizes.back()), .pairs = pair, .exchanges = 1 + kInARow, .pieces = pieces});
    const std::vector<double> times = exchanges(s, bench.run(s).trace, 1).seconds();
    took.push_back({bytes_of_message(s), median(times)});
    made.spread = spread_of(times);
  }
  made.bytes_per_s = bandwidth_of(took);
  for (const StartupPoint& t : took)
    made.startups.push_back({t.bytes, std::max(0.0, t.seconds - t.bytes / made.bytes_per_s)});
}

/// Bytes/s of the largest messages, all pairs together, from when the first has come to when the last has, without
/// their start-ups; and the spread of one.
std::pair<double, double> rate_of(const Bench& bench, const LinkCalibration& made, const std::vector<Pair>& pairs) {
  const Schedule s = schedule_of(
      {.shape = bench.shape(1, bench.request().message_tokens.back()), .pairs = pairs, .exchanges = kInARow});
  const Exchanges all = exchanges(s, bench.run(s).trace);
  const double each_s = (all.end_s.back() - all.end_s.front()) / (kInARow - 1) - made.startups.back().seconds;
  const auto number = static_cast<double>(pairs.size());
  return {number * bytes_of_message(s) / std::max(1e-12, each_s), spread_of(all.seconds())};
}

/// Likewise; no less than one pair alone reaches, no more than as many.
std::pair<double, double> at_once(const Bench& bench, const LinkCalibration& made, const std::vector<Pair>& pairs) {
  const auto [bytes_per_s, spread] = rate_of(bench, made, pairs);
  return {std::clamp(bytes_per_s, made.bytes_per_s, static_cast<double>(pairs.size()) * made.bytes_per_s), spread};
}

/// Rank 0 receives from rank 1 beside attention, of so many queries that it has many waves of tiles: what few of them
/// lose to a message's SMs is nothing, or a whole wave.
class Beside {
 public:
  explicit Beside(const Bench& bench) : bench_(bench) {
    constexpr double kWaves = 16;
    for (std::int64_t length : bench.request().lengths) {
      queries_ = length;
      const double tiles = kernel_tiles(static_cast<double>(length), bench.request().shape.heads);
      if (tiles >= kWaves * bench.request().devices.sms) break;
    }
  }

  struct Seconds {
    double attend = 0, message = 0;  ///< of one; 0 if there was none
  };
  /// The first attention of several is not counted.
  [[nodiscard]] Seconds of(std::int64_t message_tokens, int attends, int attending, int messages) const {
    const std::vector<Pair> pair{{1, 0}};
    const Schedule s = schedule_of({.shape = bench_.shape(std::min(queries_, message_tokens), message_tokens),
                                    .attends = attends,
                                    .attending = attending,
                                    .pairs = pair,
                                    .exchanges = messages});
    const Trace trace = bench_.run(s).trace;
    std::vector<double> attend = seconds_of<Attend>(s, trace, 0);
    if (attend.size() > 1) attend.erase(attend.begin());
    const std::vector<double> message = exchanges(s, trace).seconds();
    return {attend.empty() ? 0 : median(attend), message.empty() ? 0 : median(message)};
  }

 private:
  const Bench& bench_;
  std::int64_t queries_ = 0;
};

int in_a_row(double times) { return std::clamp(static_cast<int>(std::ceil(times)), 1, kMostInARow); }

/// Attention of one rank as long as messages come. Those of NCCL hold their SMs all the time; copies take nothing
/// until their bytes flow, a part of the time.
void attention_beside(const Beside& probe, std::int64_t tokens, LinkCalibration& made) {
  constexpr int kAttends = 4;
  const double alone_s = probe.of(tokens, kAttends, 1, 0).attend, message_s = probe.of(tokens, 0, 1, kInARow).message;
  const int covering = in_a_row(1.5 * kAttends * alone_s / message_s);
  const int attends = std::clamp(static_cast<int>(covering * message_s / alone_s / 1.5), 1, kAttends);
  const Beside::Seconds both = probe.of(tokens, attends, 1, covering);
  made.attention_slowed = std::max(0.0, both.attend / alone_s - 1);
  const double flowing = std::clamp(1 - made.startups.back().seconds / both.message, 0.1, 1.0);
  made.compute_efficiency = std::clamp(1 - (1 - 1 / (1 + made.attention_slowed)) / flowing, 0.1, 1.0);
}

/// Messages as long as all ranks attend, even if these make them four times as slow: of the largest size, and of the
/// one before, which tell what they wait from how fast they are.
void messages_beside(const Bench& bench, const Beside& probe, double processors, LinkCalibration& made) {
  const int ranks = bench.request().ranks;
  std::vector<StartupPoint> took;
  const std::vector<std::int64_t>& sizes = bench.request().message_tokens;
  for (std::size_t i = sizes.size() - std::min<std::size_t>(2, sizes.size()); i < sizes.size(); ++i) {
    const double attend_s = probe.of(sizes[i], 2, 1, 0).attend;
    const double alone_s = made.startups[i].seconds + made.startups[i].bytes / made.bytes_per_s;
    const double all_s = bench.request().options.ranks_per_device > 1 ? attend_s * ranks / processors : attend_s;
    took.push_back(
        {made.startups[i].bytes, probe.of(sizes[i], in_a_row(4 * kInARow * alone_s / all_s), ranks, kInARow).message});
    made.messages_slowed = std::max(0.0, took.back().seconds / alone_s - 1);
  }
  const double startup_s = made.startups.back().seconds;
  const StartupPoint& last = took.back();
  const double flow_s = took.size() > 1
                            ? last.bytes * (last.seconds - took.front().seconds) / (last.bytes - took.front().bytes)
                            : last.seconds - startup_s;
  made.busy_efficiency = std::clamp(last.bytes / made.bytes_per_s / std::max(1e-12, flow_s), 0.01, 1.0);
  made.busy_wait_s = std::max(0.0, last.seconds - startup_s - last.bytes / made.bytes_per_s / made.busy_efficiency);
}

}  // namespace

std::vector<PathRate> calibrate_paths(const Bench& bench, const LinkCalibration& links) {
  std::vector<PathRate> paths;
  for (Rank from = 0; from < bench.request().ranks; ++from)
    for (Rank to = from + 1; to < bench.request().ranks; ++to)
      paths.push_back({from, to, rate_of(bench, links, {{from, to}}).first});
  std::ranges::sort(paths, {}, &PathRate::bytes_per_s);
  return paths;
}

LinkCalibration calibrate_links(const Bench& bench, double processors) {
  LinkCalibration made;
  messages(bench, made);
  made.both_ways = at_once(bench, made, {{0, 1}, {1, 0}}).first / 2 / made.bytes_per_s;
  std::vector<Pair> ring;
  for (Rank rank = 0; rank < bench.request().ranks; ++rank) ring.emplace_back(rank, (rank + 1) % bench.request().ranks);
  std::tie(made.shared_bytes_per_s, made.shared_spread) = at_once(bench, made, ring);
  const Beside probe(bench);
  attention_beside(probe, bench.request().message_tokens.back(), made);
  messages_beside(bench, probe, processors, made);
  return made;
}

}  // namespace meshattn
