#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cluster/kernel_rates.h"
#include "experiments/measure/calibration/benchmark_runner.h"

namespace meshattn {

namespace {

/// A whole number of ops or messages, at least 1.
int op_count(double number) {
  constexpr double kMost = 300;
  return static_cast<int>(std::clamp(std::ceil(number), 1.0, kMost));
}

/// Rank 0 receives messages from rank 1 while ranks attend. Attention has queries for many waves of thread blocks: with
/// few waves, an SM lost to messages costs nothing or a whole wave.
class OverlapBenchmark {
 public:
  OverlapBenchmark(const BenchmarkRunner& bench, std::int64_t message_tokens) : bench_(bench) {
    constexpr double kWaves = 16;
    std::int64_t queries = 0;
    for (std::int64_t length : bench.request().lengths) {
      queries = length;
      const double blocks = kernel_thread_blocks(static_cast<double>(length), bench.request().shape.heads);
      if (blocks >= kWaves * bench.request().devices.sms) break;
    }
    shape_ = bench.shape(std::min(queries, message_tokens), message_tokens);
  }

  struct Load {
    int attention_ops = 0, attention_ranks = 1, messages = 0;
  };
  /// Medians over the ops and messages that overlapped, or over all if none did.
  struct Times {
    double attention_s = 0;  ///< of rank 0's ops that ended before the last message; messages begin with the first op,
                             ///< which does not count
    double message_s = 0;    ///< of the messages that came before any rank had ended its attention
    int overlapped = 0;      ///< number of these messages
    double makespan_s = 0;
  };
  [[nodiscard]] Times run(const Load& load) const {
    const std::vector<Pair> pair{{1, 0}};
    const Schedule s = schedule_of({.shape = shape_,
                                    .attention_ops = load.attention_ops,
                                    .attention_ranks = load.attention_ranks,
                                    .pairs = pair,
                                    .exchanges = load.messages});
    const gpu::RunResult result = bench_.run(s);
    const ExchangeTimes sent = exchange_times(s, result.trace);
    const std::vector<double> all_attention = seconds_of<Attend>(s, result.trace, 0);
    std::vector<double> attention;
    double attention_end_s = std::numeric_limits<double>::infinity();
    for (Rank rank = 0; rank < (load.attention_ops > 0 ? load.attention_ranks : 0); ++rank) {
      double last_s = 0;
      for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op) {
        if (!std::holds_alternative<Attend>(s.ops[op])) continue;
        last_s = result.trace.end_s[op];
        if (rank == 0 && (sent.end_s.empty() || last_s <= sent.end_s.back()))
          attention.push_back(last_s - result.trace.start_s[op]);
      }
      attention_end_s = std::min(attention_end_s, last_s);
    }
    if (attention.size() > 1) attention.erase(attention.begin());
    const std::vector<double> all_messages = sent.seconds();
    const auto overlapped = std::ranges::upper_bound(sent.end_s, attention_end_s) - sent.end_s.begin();
    const std::vector<double> messages(all_messages.begin(), all_messages.begin() + overlapped);
    const auto median_or = [](const std::vector<double>& some, const std::vector<double>& all) {
      return all.empty() ? 0 : median(some.empty() ? all : some);
    };
    return {median_or(attention, all_attention), median_or(messages, all_messages), static_cast<int>(overlapped),
            median(result.makespans_s)};
  }
  /// Ops of attention on each of these ranks whose partials fit into a quarter of a device.
  [[nodiscard]] int most_attention_ops(int attention_ranks) const {
    return op_count(std::floor(bench_.partials_that_fit(shape_) / attention_ranks));
  }

 private:
  const BenchmarkRunner& bench_;
  AttentionShape shape_;
};

/// Attention of one rank while messages come all the time. NCCL's kernels hold their SMs throughout; copies take
/// nothing before their bytes flow.
void measure_attention_slowdown(const OverlapBenchmark& benchmark, LinkCalibration& links) {
  constexpr int kAttentionOps = 4;
  constexpr double kLonger = 1.5;  // duration of the messages relative to attention, each alone
  const double alone_s = benchmark.run({.attention_ops = kAttentionOps}).attention_s,
               message_s = benchmark.run({.messages = kRepetitions}).message_s;
  const int messages = op_count(kLonger * kAttentionOps * alone_s / message_s);
  const int attention_ops = std::clamp(static_cast<int>(messages * message_s / alone_s / kLonger), 1, kAttentionOps);
  const double attention_s = benchmark.run({.attention_ops = attention_ops}).makespan_s,
               messages_s = benchmark.run({.messages = messages}).makespan_s;
  const OverlapBenchmark::Times both = benchmark.run({.attention_ops = attention_ops, .messages = messages});
  links.overlap = (attention_s + messages_s - both.makespan_s) / std::min(attention_s, messages_s);
  links.attention_slowdown = std::max(0.0, both.attention_s / alone_s - 1);
  const double flowing = std::clamp(1 - links.startups.back().seconds / both.message_s, 0.1, 1.0);
  links.compute_efficiency_during_transfers =
      std::clamp(1 - (1 - 1 / (1 + links.attention_slowdown)) / flowing, 0.1, 1.0);
}

/// Messages of the two largest sizes while all ranks attend, for long enough that most messages overlap. Two sizes tell
/// delay and bandwidth apart.
void measure_message_slowdown(const BenchmarkRunner& bench, double processors, LinkCalibration& links) {
  const int ranks = bench.request().ranks;
  std::vector<StartupPoint> points;
  const std::vector<std::int64_t>& sizes = bench.request().message_tokens;
  links.overlapped_messages = kRepetitions;
  for (std::size_t i = sizes.size() - std::min<std::size_t>(2, sizes.size()); i < sizes.size(); ++i) {
    const OverlapBenchmark benchmark(bench, sizes[i]);
    const double attention_s = benchmark.run({.attention_ops = 2}).attention_s;
    const double alone_s = links.startups[i].seconds + links.startups[i].bytes / links.bytes_per_s;
    const double all_ranks_s =
        bench.request().options.ranks_per_device > 1 ? attention_s * ranks / processors : attention_s;
    const int most = benchmark.most_attention_ops(ranks);
    int attention_ops = std::min(most, op_count(2 * kRepetitions * alone_s / all_ranks_s));
    OverlapBenchmark::Times times = benchmark.run({attention_ops, ranks, kRepetitions});
    while (times.overlapped <= kRepetitions / 2 && attention_ops < most) {
      attention_ops = std::min(most, 2 * attention_ops);
      times = benchmark.run({attention_ops, ranks, kRepetitions});
    }
    points.push_back({links.startups[i].bytes, times.message_s});
    links.message_slowdown = std::max(0.0, times.message_s / alone_s - 1);
    links.overlapped_messages = std::min(links.overlapped_messages, times.overlapped);
  }
  const double startup_s = links.startups.back().seconds;
  const StartupPoint& last = points.back();
  const double flow_s = points.size() > 1
                            ? last.bytes * (last.seconds - points.front().seconds) / (last.bytes - points.front().bytes)
                            : last.seconds - startup_s;
  links.efficiency_during_compute = std::clamp(last.bytes / links.bytes_per_s / std::max(1e-12, flow_s), 0.01, 1.0);
  links.overlap_delay_s =
      std::max(0.0, last.seconds - startup_s - last.bytes / links.bytes_per_s / links.efficiency_during_compute);
}

}  // namespace

void calibrate_overlap(const BenchmarkRunner& bench, double processors, LinkCalibration& links) {
  measure_attention_slowdown(OverlapBenchmark(bench, bench.request().message_tokens.back()), links);
  measure_message_slowdown(bench, processors, links);
}

}  // namespace meshattn
