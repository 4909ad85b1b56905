#include "experiments/calibration.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "core/kernel_rates.h"
#include "experiments/probes.h"
#include "experiments/published.h"

namespace meshattn {

namespace {

/// Half of all that times differ, by their median.
double spread_of(const std::vector<double>& times) {
  const auto [least, most] = std::ranges::minmax(times);
  return (most - least) / 2 / median(times);
}

class Bench {
 public:
  explicit Bench(const CalibrationRequest& request) : request_(request) {}

  Calibration all(const std::function<void(std::string)>& tell) {
    tell("attention");
    attention();
    if (request_.devices.sms > 0 && request_.shape.kv_heads > 1) tails();
    tell("merging, and gaps between kernels");
    combine();
    launch();
    if (request_.ranks == 1) return std::move(made_);
    tell("ranks that compute at once");
    sharing();
    tell("messages");
    messages();
    tell("messages of all ranks at once");
    made_.both_ways = rate_of({{0, 1}, {1, 0}}) / 2 / made_.link_bytes_per_s;
    std::vector<Pair> ring;
    for (Rank rank = 0; rank < request_.ranks; ++rank) ring.emplace_back(rank, (rank + 1) % request_.ranks);
    made_.shared_bytes_per_s = rate_of(ring);
    tell("messages beside attention");
    beside();
    return std::move(made_);
  }

 private:
  [[nodiscard]] AttentionShape shape(std::int64_t tokens) const { return shape(tokens, tokens); }
  [[nodiscard]] AttentionShape shape(std::int64_t queries, std::int64_t keys) const {
    AttentionShape shape = request_.shape;
    shape.seq_q = queries;
    shape.seq_kv = keys;
    return shape;
  }
  /// Numbers for what a schedule is given, kept for the next of this shape.
  [[nodiscard]] const cpu::Tensors& given(const AttentionShape& shape) {
    if (given_shape_ != shape) given_ = unchecked_tensors(shape, 1);
    given_shape_ = shape;
    return given_;
  }
  [[nodiscard]] gpu::RunResult run(const Schedule& s, bool timed = true) {
    gpu::RunOptions options = request_.options;
    options.timed = timed;
    options.outputs = false;
    return gpu::run(s, given(s.problem.shape), options, gpu::Job::alone(0));
  }

  /// Durations of a rank's ops of a kind.
  template <typename Kind>
  [[nodiscard]] static std::vector<double> seconds(const Schedule& s, const Trace& trace, Rank rank) {
    std::vector<double> times;
    for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)
      if (std::holds_alternative<Kind>(s.ops[op])) times.push_back(trace.end_s[op] - trace.start_s[op]);
    return times;
  }

  /// Operations per second of dense attention on one rank. The first kernels keep the device busy while the host issues
  /// those that count.
  double rate(const AttentionShape& shape, Pass pass, KernelMask mask, std::vector<double>* spreads = nullptr) {
    const Problem p{shape, mask == KernelMask::kFull ? Mask::kFull : Mask::kCausal, Partition::kContiguous, pass, 1};
    const Schedule s = schedule_of({.shape = shape, .mask = p.mask, .pass = pass, .attends = 4});
    const gpu::RunResult result = run(s);
    if (spreads != nullptr) spreads->push_back(spread_of(result.makespans_s));
    std::vector<double> times =
        pass == Pass::kForward ? seconds<Attend>(s, result.trace, 0) : seconds<AttendBackward>(s, result.trace, 0);
    times.erase(times.begin());
    return flops(total_pairs(p), shape.head_dim, pass) * shape.heads / median(times);
  }

  void attention() {
    const AttentionShape& all = request_.shape;
    std::vector<double> spreads;
    for (std::int64_t length : request_.lengths)
      for (Pass pass : {Pass::kForward, Pass::kBackward})
        for (KernelMask mask : {KernelMask::kFull, KernelMask::kCausal})
          made_.points.push_back({pass, mask, all.dtype, length, length, all.heads, all.kv_heads, all.head_dim, 1,
                                  rate(shape(length), pass, mask, &spreads), request_.source});
    made_.attention_spread = median(spreads);
    std::ranges::stable_sort(made_.points, {}, [](const AttentionPoint& p) { return std::pair(p.pass, p.mask); });
  }

  /// A kernel of few tiles, of the heads that share one of keys, beside that of all: which has a longer end.
  void tails() {
    for (Pass pass : {Pass::kForward, Pass::kBackward}) {
      std::vector<double> found;
      for (const AttentionPoint& p : made_.points) {
        AttentionShape few = shape(p.q_tokens);
        few.heads /= few.kv_heads;
        few.kv_heads = 1;
        const double sms = request_.devices.sms, length = static_cast<double>(p.q_tokens);
        const double waves = kernel_tiles(length, few.heads) / sms, all_waves = kernel_tiles(length, p.heads) / sms;
        if (p.pass != pass || p.mask != KernelMask::kCausal || waves < 1 || waves > 16) continue;
        if (const auto tail = tail_of(p.flops_per_s / rate(few, pass, p.mask), waves, all_waves))
          found.push_back(*tail);
      }
      if (!found.empty()) made_.tails[pass] = median(found);
    }
  }

  /// Two sums in fp32 into one in the dtype of outputs, with their log-sum-exp: as CostModel counts bytes.
  void combine() {
    const Schedule s = schedule_of({.shape = shape(request_.lengths.back()), .attends = 2, .merges = 9});
    const std::vector<double> times = seconds<Combine>(s, run(s).trace, 0);
    double bytes = 0;
    for (const Op& op : s.ops)
      if (const auto* c = std::get_if<Combine>(&op)) {
        bytes = static_cast<double>(s.bytes(c->made));
        for (ValueId source : s.sources_of(*c)) bytes += static_cast<double>(s.bytes(source));
      }
    made_.combine_bytes_per_s = bytes / median(times);
    made_.combine_spread = spread_of(times);
  }

  void launch() {
    const Schedule s = schedule_of({.shape = shape(request_.lengths.front()), .attends = 50});
    const gpu::RunResult result = run(s);
    std::vector<double> gaps;
    for (OpId op = s.ops_begin(0); op + 1 < s.ops_end(0); ++op)
      gaps.push_back(result.trace.start_s[op + 1] - result.trace.end_s[op]);
    made_.launch_s = std::max(0.0, median(gaps));
    made_.timing_overhead = median(result.host_s) / median(run(s, false).host_s) - 1;
  }

  void sharing() {
    if (request_.options.ranks_per_device == 1) return;
    const int ranks = request_.ranks;
    const std::int64_t tokens = request_.lengths[request_.lengths.size() / 2];
    const auto makespan_s = [&](int attending) {
      return median(run(schedule_of({.shape = shape(tokens), .attends = 3, .attending = attending})).makespans_s);
    };
    made_.processors = std::max(1.0, ranks * makespan_s(1) / makespan_s(ranks));
  }

  /// How long each of several exchanges in a row took, from when both its ends had begun it.
  [[nodiscard]] static std::vector<double> exchanges(const Schedule& s, const Trace& trace) {
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
  [[nodiscard]] static double bytes_of_message(const Schedule& s) {
    return static_cast<double>(s.bytes(s.transfers.front().made));
  }

  void messages() {
    const std::vector<Pair> pair{{0, 1}};
    std::vector<StartupPoint> took;
    for (std::int64_t tokens : request_.message_tokens) {
      const Schedule s = schedule_of({.shape = shape(tokens), .pairs = pair, .exchanges = kInARow});
      const std::vector<double> times = exchanges(s, run(s).trace);
      took.push_back({bytes_of_message(s), median(times)});
      const double rate = took.back().bytes / took.back().seconds;
      if (rate <= made_.link_bytes_per_s) continue;
      made_.link_bytes_per_s = rate;
      made_.link_spread = spread_of(times);
    }
    for (const StartupPoint& t : took)
      made_.startups.push_back({t.bytes, std::max(0.0, t.seconds - t.bytes / made_.link_bytes_per_s)});
  }

  /// Bytes/s of the largest messages, all pairs together, once their start-up has passed.
  [[nodiscard]] double rate_of(const std::vector<Pair>& pairs) {
    const Schedule s =
        schedule_of({.shape = shape(request_.message_tokens.back()), .pairs = pairs, .exchanges = kInARow});
    const double took_s = median(exchanges(s, run(s).trace)) - made_.startups.back().seconds;
    return static_cast<double>(pairs.size()) * bytes_of_message(s) / took_s;
  }

  /// Rank 0 receives from rank 1 all the while that it attends: few queries to the keys of many, so that it is soon.
  void beside() {
    const std::vector<Pair> pair{{1, 0}};
    const auto median_times = [&](int attends, int exchanges_in_a_row) {
      const Schedule s = schedule_of({.shape = shape(std::min(request_.lengths.front(), request_.message_tokens.back()),
                                                     request_.message_tokens.back()),
                                      .attends = attends,
                                      .pairs = pair,
                                      .exchanges = exchanges_in_a_row});
      const Trace trace = run(s).trace;
      const std::vector<double> attend = seconds<Attend>(s, trace, 0), messages = exchanges(s, trace);
      return std::pair{attend.empty() ? 0 : median(attend), messages.empty() ? 0 : median(messages)};
    };
    const double attend_s = median_times(1, 0).first, message_s = median_times(0, kInARow).second;
    const int longer = std::clamp(static_cast<int>(std::ceil(1.5 * attend_s / message_s)), 1, kMostInARow);
    const int attends = std::clamp(static_cast<int>(std::ceil(1.5 * longer * message_s / attend_s)), 1, kMostInARow);
    made_.attention_slowed = std::max(0.0, median_times(1, longer).first / attend_s - 1);
    made_.messages_slowed = std::max(0.0, median_times(attends, kInARow).second / message_s - 1);
  }

  static constexpr int kInARow = 9, kMostInARow = 300;

  const CalibrationRequest& request_;
  Calibration made_;
  cpu::Tensors given_;
  AttentionShape given_shape_;
};

}  // namespace

std::optional<double> tail_of(double slower, double waves, double all_waves) {
  const double unlike = 1 / waves - slower / all_waves;  // slower = (1 + tail / waves) / (1 + tail / all_waves)
  if (unlike <= 0) return std::nullopt;
  return std::clamp((slower - 1) / unlike, 0.0, 1000.0);
}

Calibration calibrate(const CalibrationRequest& request, const std::function<void(std::string)>& tell) {
  return Bench(request).all(tell);
}

}  // namespace meshattn
