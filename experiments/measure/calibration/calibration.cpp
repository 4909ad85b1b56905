#include "experiments/measure/calibration/calibration.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "core/cluster/kernel_rates.h"
#include "core/execution/cost_model.h"
#include "experiments/measure/calibration/benchmark_runner.h"

namespace meshattn {

namespace {

/// Median time of rank 0's ops of attention. The first, during which the host may still be issuing the others, does
/// not affect it.
double attention_s(const Schedule& s, const Trace& trace) {
  return median(s.problem.pass == Pass::kForward ? seconds_of<Attend>(s, trace, 0)
                                                 : seconds_of<AttendBackward>(s, trace, 0));
}

/// Floating-point operations per second of dense attention on one rank.
double rate_of(const BenchmarkRunner& bench, const AttentionShape& shape, Pass pass, KernelMask mask,
               std::vector<double>* uncertainties = nullptr) {
  const Problem p{shape, mask == KernelMask::kFull ? Mask::kFull : Mask::kCausal, Partition::kContiguous, pass, 1};
  const Schedule s = schedule_of({.shape = shape, .mask = p.mask, .pass = pass, .attention_ops = 4});
  const gpu::RunResult run = bench.run(s);
  if (uncertainties != nullptr) uncertainties->push_back(uncertainty_of(run.makespans_s));
  return flops(total_pairs(p), shape.head_dim, pass) * shape.heads / attention_s(s, run.trace);
}

/// Rates of attention at every length.
void attention(const BenchmarkRunner& bench, Calibration& result) {
  const AttentionShape& all = bench.request().shape;
  std::vector<double> uncertainties;
  for (std::int64_t length : bench.request().lengths)
    for (Pass pass : {Pass::kForward, Pass::kBackward})
      for (KernelMask mask : {KernelMask::kFull, KernelMask::kCausal})
        result.points.push_back({pass, mask, all.dtype, length, length, all.heads, all.kv_heads, all.head_dim, 1,
                                 rate_of(bench, bench.shape(length), pass, mask, &uncertainties),
                                 bench.request().source});
  result.attention_uncertainty = median(uncertainties);
  std::ranges::stable_sort(result.points, {}, [](const AttentionPoint& p) { return std::pair(p.pass, p.mask); });
}

/// The idle end of kernels: a kernel of few thread blocks, with the query heads of one key/value head, loses more to it
/// than the kernel of all heads.
void tails(const BenchmarkRunner& bench, Calibration& result) {
  const double sms = bench.request().devices.sms;
  for (Pass pass : {Pass::kForward, Pass::kBackward}) {
    std::vector<double> found;
    for (const AttentionPoint& p : result.points) {
      AttentionShape few = bench.shape(p.q_tokens);
      few.heads /= few.kv_heads;
      few.kv_heads = 1;
      const auto length = static_cast<double>(p.q_tokens);
      const double waves = kernel_thread_blocks(length, few.heads) / sms,
                   reference_waves = kernel_thread_blocks(length, p.heads) / sms;
      if (p.pass != pass || p.mask != KernelMask::kCausal || waves < 1 || waves > 16) continue;
      if (const auto tail = tail_of(p.flops_per_s / rate_of(bench, few, pass, p.mask), waves, reference_waves))
        found.push_back(*tail);
    }
    if (!found.empty()) result.tails[pass] = median(found);
  }
}

/// Errors of the cost model, which knows square kernels only, for kernels with four times as many keys as queries and
/// the reverse. Full mask.
void rectangles(const BenchmarkRunner& bench, Calibration& result) {
  GpuProfile gpu;
  gpu.attention = result.points;
  gpu.tails = result.tails;
  gpu.sms = bench.request().devices.sms;
  constexpr int kSides = 4;
  for (std::int64_t length : bench.request().lengths)
    for (Pass pass : {Pass::kForward, Pass::kBackward})
      for (int pieces : {1, kSides}) {
        if (length / kSides < bench.request().lengths.front()) continue;
        const std::int64_t queries = pieces == 1 ? length / kSides : length;
        const Schedule s =
            schedule_of({.shape = bench.shape(queries, length), .pass = pass, .attention_ops = 4, .pieces = pieces});
        const std::vector<double> modelled = CostModel(gpu, s.problem).times(s).seconds;
        const double measured_s = attention_s(s, bench.run(s).trace);
        result.rectangle_errors.push_back(std::abs(modelled.back() / measured_s - 1));
      }
  std::ranges::sort(result.rectangle_errors);
}

/// Bytes/s, as CostModel counts them, and their uncertainty when two fp32 partials become one value in the dtype of
/// outputs: outputs with their log-sum-exp, or gradients of queries.
std::pair<double, double> combining(const BenchmarkRunner& bench, Pass pass) {
  const Schedule s = schedule_of(
      {.shape = bench.shape(bench.request().lengths.back()), .pass = pass, .attention_ops = 2, .combines = 9});
  const std::vector<double> times = seconds_of<Combine>(s, bench.run(s).trace, 0);
  double bytes = 0;
  for (const Op& op : s.ops)
    if (const auto* c = std::get_if<Combine>(&op)) {
      bytes = static_cast<double>(s.bytes(c->made));
      for (ValueId source : s.sources_of(*c)) bytes += static_cast<double>(s.bytes(source));
    }
  return {bytes / median(times), uncertainty_of(times)};
}

/// Launch, event and issue times, at the first length whose kernels are long enough (100 µs) that the host issues the
/// next meanwhile. Timed and untimed runs take turns, and the fastest of each count: an op's events cost less than runs
/// differ.
void launch(const BenchmarkRunner& bench, Calibration& result) {
  constexpr double kLongEnough_s = 100e-6;
  std::int64_t tokens = bench.request().lengths.back();
  for (const AttentionPoint& p : result.points) {
    const auto length = static_cast<double>(p.q_tokens);
    const double seconds = flops(length * length * p.heads, p.head_dim, p.pass) / p.flops_per_s;
    if (p.pass == Pass::kForward && p.mask == KernelMask::kFull && seconds >= kLongEnough_s)
      tokens = std::min(tokens, p.q_tokens);
  }
  const AttentionShape shape = bench.shape(tokens);
  const int attention_ops = static_cast<int>(std::clamp(bench.partials_that_fit(shape), 3.0, 50.0));
  const Schedule s = schedule_of({.shape = shape, .attention_ops = attention_ops});
  std::vector<double> gaps, timed_s, untimed_s, issue_s;
  for (int turn = 0; turn < 3; ++turn) {
    const gpu::RunResult timed = bench.run(s), untimed = bench.run(s, false);
    for (OpId op = s.ops_begin(0); op + 1 < s.ops_end(0); ++op)
      gaps.push_back(timed.trace.start_s[op + 1] - timed.trace.end_s[op]);
    timed_s.insert(timed_s.end(), timed.host_s.begin(), timed.host_s.end());
    untimed_s.insert(untimed_s.end(), untimed.host_s.begin(), untimed.host_s.end());
    issue_s.insert(issue_s.end(), untimed.issue_s.begin(), untimed.issue_s.end());
  }
  const auto ops = static_cast<double>(s.ops.size());
  const double gap_s = std::max(0.0, median(gaps)), least_s = std::ranges::min(untimed_s);
  result.event_s = std::clamp((std::ranges::min(timed_s) - least_s) / ops, 0.0, gap_s);
  result.event_noise_s = uncertainty_of(untimed_s) * median(untimed_s) / ops;
  result.timing_overhead = result.event_s * ops / least_s;
  result.launch_s = gap_s - result.event_s;
  result.issue_s = median(issue_s) / ops;
}

/// How much more ranks on one device compute at once than one of them.
void sharing(const BenchmarkRunner& bench, Calibration& result) {
  if (bench.request().options.ranks_per_device == 1) return;
  const int ranks = bench.request().ranks;
  const std::vector<std::int64_t>& lengths = bench.request().lengths;
  const auto makespans_s = [&](int attention_ranks) {
    return bench
        .run(schedule_of({.shape = bench.shape(lengths[lengths.size() / 2]),
                          .attention_ops = 3,
                          .attention_ranks = attention_ranks}))
        .makespans_s;
  };
  const std::vector<double> all_s = makespans_s(ranks);
  result.processors = std::max(1.0, ranks * median(makespans_s(1)) / median(all_s));
  result.processors_uncertainty = uncertainty_of(all_s);
}

}  // namespace

std::optional<double> tail_of(double slowdown, double waves, double reference_waves) {
  const double difference =
      1 / waves - slowdown / reference_waves;  // slowdown = (1 + tail / waves) / (1 + tail / reference_waves)
  if (difference <= 0) return std::nullopt;
  return std::clamp((slowdown - 1) / difference, 0.0, 1000.0);
}

Calibration calibrate(const CalibrationRequest& request, const Runner& run,
                      const std::function<void(std::string)>& report_progress) {
  const BenchmarkRunner bench(request, run, 0);
  Calibration result;
  report_progress("attention");
  attention(bench, result);
  if (request.devices.sms > 0 && request.shape.kv_heads > 1) tails(bench, result);
  rectangles(bench, result);
  report_progress("merging, gaps between kernels, events");
  std::tie(result.combine_bytes_per_s, result.combine_uncertainty) = combining(bench, Pass::kForward);
  std::tie(result.accumulate_bytes_per_s, result.accumulate_uncertainty) = combining(bench, Pass::kBackward);
  launch(bench, result);
  if (request.ranks == 1) return result;
  report_progress("ranks that compute at once");
  sharing(bench, result);
  for (int ctas : request.ctas) {
    report_progress(ctas > 0 ? fmt::format("messages with {} CTAs", ctas) : "messages");
    const BenchmarkRunner link_bench(request, run, ctas);
    result.links[ctas] = calibrate_links(link_bench);
    calibrate_overlap(link_bench, result.processors, result.links[ctas]);
    if (ctas == request.ctas.front() && request.options.ranks_per_device == 1)
      result.paths = calibrate_paths(link_bench, result.links[ctas]);
  }
  return result;
}

}  // namespace meshattn
