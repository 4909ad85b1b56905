#include <algorithm>
#include <cmath>

#include "experiments/calibration_bench.h"

namespace meshattn {

namespace {

constexpr int kInARow = 9, kMostInARow = 300;

/// How long each of several exchanges in a row took, from when both its ends had begun it.
std::vector<double> exchanges(const Schedule& s, const Trace& trace) {
  std::vector<double> begin, end;
  for (Rank rank = 0; rank < s.problem.ranks; ++rank) {
    std::size_t k = 0;
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
      if (!std::holds_alternative<Exchange>(s.ops[op])) continue;
      if (k == begin.size()) begin.push_back(0), end.push_back(0);
      begin[k] = std::max(begin[k], trace.start_s[op]);
      end[k] = std::max(end[k], trace.end_s[op]);
      ++k;
    }
  }
  for (std::size_t k = 0; k < begin.size(); ++k) end[k] -= begin[k];
  return end;
}

double bytes_of_message(const Schedule& s) { return static_cast<double>(s.bytes(s.transfers.front().made)); }

/// From one rank to another: a bandwidth, by the two largest sizes, and what messages of each size take beyond it. It
/// is within once and twice what a message reached: the difference of two times may be noise.
void messages(const Bench& bench, LinkCalibration& made) {
  const std::vector<Pair> pair{{0, 1}};
  std::vector<StartupPoint> took;
  for (std::int64_t tokens : bench.request().message_tokens) {
    const Schedule s = schedule_of({.shape = bench.shape(tokens), .pairs = pair, .exchanges = kInARow});
    const std::vector<double> times = exchanges(s, bench.run(s).trace);
    took.push_back({bytes_of_message(s), median(times)});
    made.spread = spread_of(times);
    made.bytes_per_s = std::max(made.bytes_per_s, took.back().bytes / took.back().seconds);
  }
  if (took.size() > 1) {
    const StartupPoint &last = took.back(), &before = took[took.size() - 2];
    const double bytes_per_s = (last.bytes - before.bytes) / std::max(1e-12, last.seconds - before.seconds);
    made.bytes_per_s = std::clamp(bytes_per_s, made.bytes_per_s, 2 * made.bytes_per_s);
  }
  for (const StartupPoint& t : took)
    made.startups.push_back({t.bytes, std::max(0.0, t.seconds - t.bytes / made.bytes_per_s)});
}

/// Bytes/s of the largest messages, all pairs together, once their start-up has passed; and their spread.
std::pair<double, double> at_once(const Bench& bench, const LinkCalibration& made, const std::vector<Pair>& pairs) {
  const Schedule s =
      schedule_of({.shape = bench.shape(bench.request().message_tokens.back()), .pairs = pairs, .exchanges = kInARow});
  const std::vector<double> times = exchanges(s, bench.run(s).trace);
  const double flow_s = median(times) - made.startups.back().seconds;
  return {static_cast<double>(pairs.size()) * bytes_of_message(s) / flow_s, spread_of(times)};
}

/// Rank 0 receives from rank 1 beside attention: few queries to the keys of many, so that it is soon over.
class Beside {
 public:
  explicit Beside(const Bench& bench)
      : bench_(bench),
        shape_(
            bench.shape(std::min(bench.request().lengths.front(), bench.request().message_tokens.back()), tokens())) {}

  struct Seconds {
    double attend = 0, message = 0;  ///< of one; 0 if there was none
  };
  [[nodiscard]] Seconds of(int attends, int attending, int messages) const {
    const std::vector<Pair> pair{{1, 0}};
    const Schedule s = schedule_of(
        {.shape = shape_, .attends = attends, .attending = attending, .pairs = pair, .exchanges = messages});
    const Trace trace = bench_.run(s).trace;
    const std::vector<double> attend = seconds_of<Attend>(s, trace, 0), message = exchanges(s, trace);
    return {attend.empty() ? 0 : median(attend), message.empty() ? 0 : median(message)};
  }

 private:
  [[nodiscard]] std::int64_t tokens() const { return bench_.request().message_tokens.back(); }

  const Bench& bench_;
  AttentionShape shape_;
};

int in_a_row(double times) { return std::clamp(static_cast<int>(std::ceil(times)), 1, kMostInARow); }

/// Attention of one rank as long as messages come; then messages as long as all ranks attend, even if these make them
/// four times as slow.
void beside(const Bench& bench, double processors, LinkCalibration& made) {
  const Beside probe(bench);
  const int ranks = bench.request().ranks;
  const double attend_s = probe.of(1, 1, 0).attend, message_s = probe.of(0, 1, kInARow).message;
  made.attention_slowed = std::max(0.0, probe.of(1, 1, in_a_row(1.5 * attend_s / message_s)).attend / attend_s - 1);
  const double all_attend_s = bench.request().options.ranks_per_device > 1 ? attend_s * ranks / processors : attend_s;
  const double beside_s = probe.of(in_a_row(4 * kInARow * message_s / all_attend_s), ranks, kInARow).message;
  const double startup_s = made.startups.back().seconds;
  made.messages_slowed = std::max(0.0, (beside_s - startup_s) / (message_s - startup_s) - 1);
}

}  // namespace

LinkCalibration calibrate_links(const Bench& bench, double processors) {
  LinkCalibration made;
  messages(bench, made);
  made.both_ways = at_once(bench, made, {{0, 1}, {1, 0}}).first / 2 / made.bytes_per_s;
  std::vector<Pair> ring;
  for (Rank rank = 0; rank < bench.request().ranks; ++rank) ring.emplace_back(rank, (rank + 1) % bench.request().ranks);
  std::tie(made.shared_bytes_per_s, made.shared_spread) = at_once(bench, made, ring);
  beside(bench, processors, made);
  return made;
}

}  // namespace meshattn
