#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "gpu/run.h"

namespace meshattn {

/// What to measure, and how.
struct CalibrationRequest {
  gpu::RunOptions options;
  gpu::Devices devices;
  AttentionShape shape;                      ///< heads, head dim, dtype; its lengths are not used
  std::vector<std::int64_t> lengths;         ///< tokens of queries and of keys, ascending
  std::vector<std::int64_t> message_tokens;  ///< tokens whose K and V are one message, ascending
  int ranks = 1;                             ///< on one device, or one on each device
  std::vector<int> ctas;                     ///< thread blocks of an NCCL kernel; links are measured with each
  std::string source;                        ///< of every number: device and date
};

/// Bandwidth between two GPUs.
struct PathRate {
  int from = 0, to = 0;
  double bytes_per_s = 0;
};

/// How often a message or an op of attention is repeated in one schedule.
inline constexpr int kRepetitions = 9;

/// Messages within the box: medians over the repetitions of the median run. Uncertainties are half of the
/// interquartile range, relative.
struct LinkCalibration {
  double bytes_per_s = 0;              ///< from one rank to another, by the two largest sizes
  double uncertainty = 0;              ///< of the largest message
  std::vector<StartupPoint> startups;  ///< by message size: time beyond bytes / bandwidth
  double both_ways = 0;                ///< rate of each of two ranks that send to each other, relative to bytes_per_s
  double shared_bytes_per_s = 0;       ///< of all ranks together, each sending to the next
  double shared_uncertainty = 0;
  double all_to_all_bytes_per_s = 0;  ///< of all ranks together, each sending to all others; 0: not measured
  double overlap = 1;                 ///< (Tc + Tm − T) / min(Tc, Tm) of attention, messages, and both at once
  double attention_slowdown = 0;      ///< time of attention during messages relative to attention alone, less 1
  double compute_efficiency_during_transfers = 1;  ///< fraction of attention's speed left while bytes flow
  double message_slowdown = 0;  ///< time of the largest message during attention relative to that alone, less 1
  double efficiency_during_compute = 1;  ///< fraction of the bandwidth left during attention, by the two largest sizes
  double overlap_delay_s = 0;            ///< what a message takes longer during attention, beyond its lower bandwidth
  int overlapped_messages = 0;           ///< number that came while all ranks attended; the fields above are theirs

  [[nodiscard]] bool has_few_overlapped_messages() const { return overlapped_messages <= kRepetitions / 2; }
};

/// What was measured: medians. Uncertainties of attention and of processors are over runs.
struct Calibration {
  std::vector<AttentionPoint> points;
  std::map<Pass, double> tails;          ///< see KernelRates; only of devices with SMs, if the lengths show them
  double attention_uncertainty = 0;      ///< median over the points
  std::vector<double> rectangle_errors;  ///< of the cost model for 4:1 and 1:4 kernels, relative, ascending
  double combine_bytes_per_s = 0;
  double combine_uncertainty = 0;
  double accumulate_bytes_per_s = 0;
  double accumulate_uncertainty = 0;
  double processors = 1;  ///< how much more ranks that share a device compute at once than one of them
  double processors_uncertainty = 0;
  double launch_s = 0;          ///< from the end of an op to the start of the next that waits for it, without events
  double event_s = 0;           ///< what the events that time an op add to it, at most the gap between two ops
  double event_noise_s = 0;     ///< half of the interquartile range of untimed runs, per op
  double timing_overhead = 0;   ///< event_s relative to an op, at the length where it was measured
  double issue_s = 0;           ///< host time per op
  std::vector<PathRate> paths;  ///< between any two GPUs of one rank each, by the first of `ctas`; ascending
  std::map<int, LinkCalibration> links;  ///< by thread blocks of an NCCL kernel; 0: copies; empty with one rank
};

/// Runs a schedule with options, for its times.
using Runner = std::function<gpu::RunResult(const Schedule&, const gpu::RunOptions&)>;

/// Measures a box. @param report_progress is told what is measured next. @throws as `run` does
[[nodiscard]] Calibration calibrate(const CalibrationRequest& request, const Runner& run,
                                    const std::function<void(std::string)>& report_progress);

/// Waves of thread blocks that the end of a kernel idles, from two kernels: one of `waves` is `slowdown` times slower
/// (by rate) than one of `reference_waves`. Nothing if no such end explains it.
[[nodiscard]] std::optional<double> tail_of(double slowdown, double waves, double reference_waves);

/// Files of `topologies/`: a GPU profile, and a cluster of one node with links measured with `ctas` thread blocks.
[[nodiscard]] std::string profile_text(const CalibrationRequest& request, const Calibration& measured);
[[nodiscard]] std::string cluster_text(const CalibrationRequest& request, const Calibration& measured, int ctas,
                                       const std::string& gpu);

}  // namespace meshattn
