#pragma once

#include <algorithm>
#include <variant>
#include <vector>

#include "core/base/median.h"
#include "experiments/measure/calibration/calibration.h"
#include "experiments/measure/calibration/microbenchmark.h"

namespace meshattn {

/// Runs microbenchmarks with the options of a calibration.
class BenchmarkRunner {
 public:
  /// Request and runner must outlive it. @param ctas thread blocks of an NCCL kernel; 0 without NCCL
  BenchmarkRunner(const CalibrationRequest& request, const Runner& runner, int ctas)
      : request_(request), runner_(runner), options_(request.options) {
    options_.use_tensors = false;
    if (ctas > 0) options_.max_ctas = ctas;
  }

  [[nodiscard]] const CalibrationRequest& request() const { return request_; }
  [[nodiscard]] AttentionShape shape(std::int64_t tokens) const { return shape(tokens, tokens); }
  [[nodiscard]] AttentionShape shape(std::int64_t queries, std::int64_t keys) const {
    AttentionShape shape = request_.shape;
    shape.seq_q = queries;
    shape.seq_kv = keys;
    return shape;
  }
  /// Partial outputs of a shape in fp32 that fill a quarter of a device's memory.
  [[nodiscard]] double partials_that_fit(const AttentionShape& s) const {
    return request_.devices.memory_bytes / 4 / (4.0 * static_cast<double>(s.seq_q) * s.heads * (s.head_dim + 1));
  }
  [[nodiscard]] gpu::RunResult run(const Schedule& s, bool timed = true) const {
    gpu::RunOptions options = options_;
    options.timed = timed;
    return runner_(s, options);
  }

 private:
  const CalibrationRequest& request_;
  const Runner& runner_;
  gpu::RunOptions options_;
};

/// Half of the interquartile range, relative to the median.
[[nodiscard]] inline double uncertainty_of(std::vector<double> times) {
  std::ranges::sort(times);
  const std::size_t quarter = times.size() / 4;
  return (times[times.size() - 1 - quarter] - times[quarter]) / 2 / median(times);
}

/// Durations of a rank's ops of one kind.
template <typename Kind>
[[nodiscard]] std::vector<double> seconds_of(const Schedule& s, const Trace& trace, Rank rank) {
  std::vector<double> times;
  for (OpId op = s.ops_begin(rank); op < s.ops_end(rank); ++op)
    if (std::holds_alternative<Kind>(s.ops[op])) times.push_back(trace.end_s[op] - trace.start_s[op]);
  return times;
}

/// Exchanges one after the other: when each had begun at all ranks, and when it had ended at all.
struct ExchangeTimes {
  std::vector<double> begin_s, end_s;

  [[nodiscard]] std::vector<double> seconds() const {
    std::vector<double> seconds;
    for (std::size_t k = 0; k < end_s.size(); ++k) seconds.push_back(end_s[k] - begin_s[k]);
    return seconds;
  }
};

/// @param skipped number of each rank's first exchanges that do not count
[[nodiscard]] ExchangeTimes exchange_times(const Schedule& s, const Trace& trace, std::size_t skipped = 0);

/// Measures messages without computation.
[[nodiscard]] LinkCalibration calibrate_links(const BenchmarkRunner& bench);
/// Measures how attention and messages slow each other down. @param processors of Calibration
void calibrate_overlap(const BenchmarkRunner& bench, double processors, LinkCalibration& links);
/// Bandwidths between any two ranks, ascending.
[[nodiscard]] std::vector<PathRate> calibrate_paths(const BenchmarkRunner& bench, const LinkCalibration& links);

}  // namespace meshattn
