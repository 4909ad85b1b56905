#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cluster/kernel_rates.h"
#include "experiments/measure/benchmark_runner.h"

namespace meshattn {

namespace {

int repetitions(double times) {
  constexpr double kMost = 300;
  return static_cast<int>(std::clamp(std::ceil(times), 1.0, kMost));
}

/// Rank 0 receives from rank 1 beside attention, of so many queries that it has many waves of tiles: what few of them
/// lose to a message's SMs is nothing, or a whole wave.
class OverlapBenchmark {
 public:
  OverlapBenchmark(const BenchmarkRunner& bench, std::int64_t message_tokens) : bench_(bench) {
    constexpr double kWaves = 16;
    std::int64_t queries = 0;
    for (std::int64_t length : bench.request().lengths) {
      queries = length;
      const double tiles = kernel_thread_blocks(static_cast<double>(length), bench.request().shape.heads);
      if (tiles >= kWaves * bench.request().devices.sms) break;
    }
    shape_ = bench.shape(std::min(queries, message_tokens), message_tokens);
  }

  struct Asked {
    int attention_ops = 0, attention_ranks = 1, messages = 0;
  };
  /// Medians of those that count; of all if none does.
  struct Seen {
    double attend_s = 0;   ///< rank 0's but the first, with which messages begin, those that ended before they did
    double message_s = 0;  ///< those that came before any rank had attended all
    int messages = 0;      ///< so many
    double whole_s = 0;    ///< all of it
  };
  [[nodiscard]] Seen of(const Asked& asked) const {
    const std::vector<Pair> pair{{1, 0}};
    const Schedule s = schedule_of({.shape = shape_,
                                    .attention_ops = asked.attention_ops,
                                    .attention_ranks = asked.attention_ranks,
                                    .pairs = pair,
                                    .exchanges = asked.messages});
    const gpu::RunResult result = bench_.run(s);
    const Exchanges sent = exchanges(s, result.trace);
    const std::vector<double> all_attend = seconds_of<Attend>(s, result.trace, 0);
    std::vector<double> attend;
    double attention_end_s = std::numeric_limits<double>::infinity();
    for (Rank rank = 0; rank < (asked.attention_ops > 0 ? asked.attention_ranks : 0); ++rank) {
      double last_s = 0;
      for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
        if (!std::holds_alternative<Attend>(s.ops[op])) continue;
        last_s = result.trace.end_s[op];
        if (rank == 0 && (sent.end_s.empty() || last_s <= sent.end_s.back()))
          attend.push_back(last_s - result.trace.start_s[op]);
      }
      attention_end_s = std::min(attention_end_s, last_s);
    }
    if (attend.size() > 1) attend.erase(attend.begin());
    const std::vector<double> all_message = sent.seconds();
    const auto came =
        static_cast<std::size_t>(std::ranges::upper_bound(sent.end_s, attention_end_s) - sent.end_s.begin());
    const std::vector<double> message(all_message.begin(), all_message.begin() + static_cast<std::ptrdiff_t>(came));
    const auto middle = [](const std::vector<double>& those, const std::vector<double>& all) {
      return all.empty() ? 0 : median(those.empty() ? all : those);
    };
    return {middle(attend, all_attend), middle(message, all_message), static_cast<int>(came),
            median(result.makespans_s)};
  }
  /// So many that their sums take no more than a quarter of a device.
  [[nodiscard]] int most_attends(int attention_ranks) const {
    return repetitions(std::floor(bench_.sums_that_fit(shape_) / attention_ranks));
  }

 private:
  const BenchmarkRunner& bench_;
  AttentionShape shape_;
};

/// Attention of one rank as long as messages come. Those of NCCL hold their SMs all the time; copies take nothing
/// until their bytes flow, a part of the time.
void overlapped_attention(const OverlapBenchmark& benchmark, LinkCalibration& made) {
  constexpr int kAttends = 4;
  constexpr double kLonger = 1.5;  // messages than attention would take alone
  const double alone_s = benchmark.of({.attention_ops = kAttends}).attend_s,
               message_s = benchmark.of({.messages = kRepetitions}).message_s;
  const int messages = repetitions(kLonger * kAttends * alone_s / message_s);
  const int attention_ops = std::clamp(static_cast<int>(messages * message_s / alone_s / kLonger), 1, kAttends);
  const double attends_s = benchmark.of({.attention_ops = attention_ops}).whole_s,
               messages_s = benchmark.of({.messages = messages}).whole_s;
  const OverlapBenchmark::Seen both = benchmark.of({.attention_ops = attention_ops, .messages = messages});
  made.overlap = (attends_s + messages_s - both.whole_s) / std::min(attends_s, messages_s);
  made.attention_slowdown = std::max(0.0, both.attend_s / alone_s - 1);
  const double flowing = std::clamp(1 - made.startups.back().seconds / both.message_s, 0.1, 1.0);
  made.compute_efficiency = std::clamp(1 - (1 - 1 / (1 + made.attention_slowdown)) / flowing, 0.1, 1.0);
}

/// Messages while all ranks attend, long enough for most of them, however slow these make them: of the largest size,
/// and of the one before, which report_progress what they wait from how fast they are.
void overlapped_message_s(const BenchmarkRunner& bench, double processors, LinkCalibration& made) {
  const int ranks = bench.request().ranks;
  std::vector<StartupPoint> took;
  const std::vector<std::int64_t>& sizes = bench.request().message_tokens;
  made.overlapped_messages = kRepetitions;
  for (std::size_t i = sizes.size() - std::min<std::size_t>(2, sizes.size()); i < sizes.size(); ++i) {
    const OverlapBenchmark benchmark(bench, sizes[i]);
    const double attend_s = benchmark.of({.attention_ops = 2}).attend_s;
    const double alone_s = made.startups[i].seconds + made.startups[i].bytes / made.bytes_per_s;
    const double all_s = bench.request().options.ranks_per_device > 1 ? attend_s * ranks / processors : attend_s;
    const int most = benchmark.most_attends(ranks);
    int attention_ops = std::min(most, repetitions(2 * kRepetitions * alone_s / all_s));
    OverlapBenchmark::Seen seen = benchmark.of({attention_ops, ranks, kRepetitions});
    while (seen.messages <= kRepetitions / 2 && attention_ops < most) {
      attention_ops = std::min(most, 2 * attention_ops);
      seen = benchmark.of({attention_ops, ranks, kRepetitions});
    }
    took.push_back({made.startups[i].bytes, seen.message_s});
    made.message_slowdown = std::max(0.0, seen.message_s / alone_s - 1);
    made.overlapped_messages = std::min(made.overlapped_messages, seen.messages);
  }
  const double startup_s = made.startups.back().seconds;
  const StartupPoint& last = took.back();
  const double flow_s = took.size() > 1
                            ? last.bytes * (last.seconds - took.front().seconds) / (last.bytes - took.front().bytes)
                            : last.seconds - startup_s;
  made.busy_efficiency = std::clamp(last.bytes / made.bytes_per_s / std::max(1e-12, flow_s), 0.01, 1.0);
  made.overlap_delay_s = std::max(0.0, last.seconds - startup_s - last.bytes / made.bytes_per_s / made.busy_efficiency);
}

}  // namespace

void calibrate_overlap(const BenchmarkRunner& bench, double processors, LinkCalibration& made) {
  overlapped_attention(OverlapBenchmark(bench, bench.request().message_tokens.back()), made);
  overlapped_message_s(bench, processors, made);
}

}  // namespace meshattn
