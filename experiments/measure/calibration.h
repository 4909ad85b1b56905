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
  AttentionShape shape;                      ///< heads, head dim, dtype; lengths do not count
  std::vector<std::int64_t> lengths;         ///< tokens of q and of kv, ascending
  std::vector<std::int64_t> message_tokens;  ///< K and V of so many, ascending
  int ranks = 1;                             ///< that share a device, or devices that have one each
  std::vector<int> ctas;                     ///< thread blocks of an NCCL kernel: links are measured with each
  std::string source;                        ///< beside every number: what was measured, when
};

/// How fast messages go from one GPU to another.
struct PathRate {
  int from = 0, to = 0;
  double bytes_per_s = 0;
};

/// Of a kind of message or of attention that is measured, so many in a row.
inline constexpr int kRepetitions = 9;

/// Messages within the box: medians of several in a row, in the median repeat. `spread`: half of what the middle half
/// of them differ, relative.
struct LinkCalibration {
  double bytes_per_s = 0;              ///< from one rank to another, by the two largest sizes
  double uncertainty = 0;              ///< of the largest
  std::vector<StartupPoint> startups;  ///< of messages of each size: what they took beyond bytes over bandwidth
  double both_ways = 0;                ///< bytes/s of two ranks that send to each other, each way, by bytes_per_s
  double shared_bytes_per_s = 0;       ///< of all ranks together, each sending to the next
  double shared_uncertainty = 0;
  double all_to_all_bytes_per_s = 0;  ///< of all ranks together, each sending to all others
  double overlap = 1;                 ///< (Tc + Tm − T) / min(Tc, Tm) of attention, messages, and both at once
  double attention_slowdown = 0;      ///< time of attention beside messages by that without, less 1
  double compute_efficiency = 1;      ///< of attention's speed, what is left while bytes flow
  double message_slowdown = 0;        ///< time of the largest message while all ranks attend by that without, less 1
  double busy_efficiency = 1;         ///< of the bandwidth, what is left then, by the two largest sizes
  double overlap_delay_s = 0;         ///< what such a message takes longer besides
  int overlapped_messages =
      0;  ///< of kRepetitions, so many came while all ranks still attended: the last two are of these

  [[nodiscard]] bool has_few_overlapped_messages() const { return overlapped_messages <= kRepetitions / 2; }
};

/// What was measured, likewise; attention's spread, and that of processors, is of repeats.
struct Calibration {
  std::vector<AttentionPoint> points;
  std::map<Pass, double> tails;          ///< where the device has SMs, and lengths let it be seen: see KernelRates
  double attention_uncertainty = 0;      ///< the median of all points'
  std::vector<double> rectangle_errors;  ///< ascending, relative: kernels of unlike sides, by the cost model
  double combine_bytes_per_s = 0;
  double combine_uncertainty = 0;
  double accumulate_bytes_per_s = 0;
  double accumulate_uncertainty = 0;
  double processors = 1;  ///< ranks that share a device compute so much more at once than one
  double processors_uncertainty = 0;
  double launch_s = 0;          ///< from the end of an op to the start of the next that waits for it, without events
  double event_s = 0;           ///< what timing an op by events adds to it, no more than that
  double event_noise_s = 0;     ///< half of what the middle half of untimed runs differ, by the op
  double timing_overhead = 0;   ///< that by the op, at the length where it was measured
  double issue_s = 0;           ///< of the host, for an op
  std::vector<PathRate> paths;  ///< between any two GPUs, where each has one rank, by the first of `ctas`; ascending
  std::map<int, LinkCalibration> links;  ///< by thread blocks of an NCCL kernel; 0: copies; none of one rank
};

/// Runs a schedule with options, for its times.
using Runner = std::function<gpu::RunResult(const Schedule&, const gpu::RunOptions&)>;

/// Runs microbenchmarks. @param report_progress what is measured next. @throws as `run` does
[[nodiscard]] Calibration calibrate(const CalibrationRequest& request, const Runner& run,
                                    const std::function<void(std::string)>& report_progress);

/// Waves that the end of a kernel idles, of which one of `waves` is so much slower (by its rate) than one of
/// `reference_waves`; nothing if no such end explains it.
[[nodiscard]] std::optional<double> tail_of(double slowdown, double waves, double reference_waves);

/// Files of `topologies/`: a GPU profile, and a cluster of one node of it, with the links of so many thread blocks.
[[nodiscard]] std::string profile_text(const CalibrationRequest& request, const Calibration& measured);
[[nodiscard]] std::string cluster_text(const CalibrationRequest& request, const Calibration& measured, int ctas,
                                       const std::string& gpu);

}  // namespace meshattn
