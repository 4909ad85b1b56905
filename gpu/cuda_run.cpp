#include "gpu/cuda_run.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <exception>
#include <fstream>
#include <string>
#include <thread>

#include "core/base/error.h"
#include "gpu/device/cuda_device.h"
#include "gpu/device/nccl_lanes.h"
#include "gpu/repeats.h"

namespace meshattn::gpu {

namespace {

/// The wait for the other processes to make the plans of their kernels.
constexpr double kReadySeconds = 600;

int device_of(Rank rank, const RunOptions& options, const Job& job) {
  const int devices = device_count();
  const int of_process = devices == 1 ? 0 : job.local_rank();  // a launcher may show each process only its own device
  const int device = of_process + (job.size() > 1 ? 0 : gpu_of(rank, options) / options.ranks_per_device);
  if (device >= devices)
    throw InvalidInput(fmt::format("rank {} needs device {}, and there {} {}{}", rank, device,
                                   devices == 1 ? "is" : "are", devices,
                                   options.transport == Transport::kCopies ? ": give --ranks-per-gpu" : ""));
  return device;
}

/// Enables access to the memory of other devices where the hardware supports it.
void enable_peers(std::span<const RankContext> ranks) {
  for (const RankContext& a : ranks)
    for (const RankContext& b : ranks) {
      int can = 0;
      if (a.device() == b.device() || cudaDeviceCanAccessPeer(&can, a.device(), b.device()) != cudaSuccess || can == 0)
        continue;
      a.use();
      const cudaError_t status = cudaDeviceEnablePeerAccess(b.device(), 0);
      if (status == cudaErrorPeerAccessAlreadyEnabled)
        (void)cudaGetLastError();
      else
        check(status, "peer access");
    }
}

std::vector<Repeat> run_copies(const Schedule& s, std::vector<RankContext>& ranks, std::span<const Program> programs,
                               const RunOptions& options, const cpu::Tensors* given, Cancellation& cancellation) {
  for (RankContext& rank : ranks) rank.load(given);
  enable_peers(ranks);
  CudaDevice device(s, ranks, programs, {}, cancellation, options.timed);
  return run_repeats(
      device, options, [&] { issue_copies(s, programs, device); }, [&] { device.set_clocks(); });
}

/// The errors of all threads in one exception, for a stuck exchange shows in each of its ranks; null if there are none.
std::exception_ptr joined(std::span<const std::exception_ptr> errors) {
  std::vector<std::string> texts;
  std::exception_ptr first;
  for (const std::exception_ptr& error : errors) {
    if (!error) continue;
    if (!first) first = error;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      texts.emplace_back(e.what());
    }
  }
  if (texts.size() > 1) return std::make_exception_ptr(DeviceError(fmt::format("{}", fmt::join(texts, "; "))));
  return first;
}

/// Runs the ranks of this process over NCCL, each with a thread of its own.
class NcclRun {
 public:
  NcclRun(const Schedule& s, std::vector<RankContext>& ranks, std::span<const Program> programs,
          const RunOptions& options, const Job& job, std::atomic<bool>& failed)
      : s_(s),
        ranks_(ranks),
        programs_(programs),
        options_(options),
        job_(job),
        failed_(failed),
        ids_(static_cast<std::size_t>(s.lanes()) - 1),
        barrier_(static_cast<std::ptrdiff_t>(ranks.size())),
        seen_(ranks.size()),
        errors_(ranks.size()),
        watchdog_(options.timeout_s + 10) {
    for (const Program& program : programs) require_small_groups(program);
    if (job.rank() == 0) std::ranges::generate(ids_, new_unique_id);
    job.broadcast(std::as_writable_bytes(std::span(ids_)), deadline_in(options.timeout_s));
  }

  /// By rank served.
  std::vector<std::vector<Repeat>> run(const cpu::Tensors* given) && {
    if (ranks_.size() == 1) {
      serve(0, given);
    } else {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < ranks_.size(); ++i) threads.emplace_back([this, i, given] { serve(i, given); });
    }
    if (const std::exception_ptr error = joined(errors_)) std::rethrow_exception(error);
    return std::move(seen_);
  }

 private:
  void serve(std::size_t i, const cpu::Tensors* given) {
    try {
      Cancellation cancellation(failed_);
      NcclLanes lanes(ranks_[i], cancellation);
      try {
        seen_[i] = repeats(i, given, lanes, cancellation);
      } catch (const std::exception& e) {
        cancellation.request(e.what());  // before the lanes are aborted
        watchdog_.arm(e.what());
        throw;
      }
    } catch (...) {
      errors_[i] = std::current_exception();
      barrier_.arrive_and_drop();
    }
  }

  std::vector<Repeat> repeats(std::size_t i, const cpu::Tensors* given, NcclLanes& lanes, Cancellation& cancellation) {
    const auto deadline = [this] { return deadline_in(options_.timeout_s); };
    lanes.initialize(s_.problem.ranks, ids_, options_.max_ctas, deadline());
    lanes.warm_up(programs_[i], deadline());
    ranks_[i].load(given);  // after warm_up(), which overwrites bytes of the arena
    NcclLanes* mine = &lanes;
    CudaDevice device(s_, std::span(&ranks_[i], 1), programs_.subspan(i, 1), std::span(&mine, 1), cancellation,
                      options_.timed);
    std::vector<Repeat> seen = run_repeats(
        device, options_, [&] { issue_groups(programs_[i], device); },
        [&] {
          wait_for_all_ranks();
          device.set_clocks();
          device.set_deadline(deadline());
          wait_for_all_ranks();
        });
    wait_for_all_ranks();  // all messages have arrived
    lanes.finalize(deadline());
    return seen;
  }

  /// A barrier of all ranks. A thread that has failed has left it.
  void wait_for_all_ranks() {
    if (ranks_.size() == 1) return job_.barrier(deadline_in(options_.timeout_s));
    barrier_.arrive_and_wait();
    if (failed_) throw DeviceError(kOtherFailed);
  }

  const Schedule& s_;
  std::vector<RankContext>& ranks_;
  std::span<const Program> programs_;
  const RunOptions& options_;
  const Job& job_;
  std::atomic<bool>& failed_;
  std::vector<ncclUniqueId> ids_;  ///< by communication lane
  std::barrier<> barrier_;
  std::vector<std::vector<Repeat>> seen_;   ///< by rank served
  std::vector<std::exception_ptr> errors_;  ///< by rank served
  Watchdog watchdog_;                       ///< ends a thread that is stuck in a call of the driver and sees no failure
};

/// Merges the repeats of several ranks.
std::vector<Repeat> merged(const Schedule& s, std::vector<std::vector<Repeat>> by_rank,
                           std::span<const Program> programs, bool timed) {
  std::vector<Repeat> seen = std::move(by_rank.front());
  for (std::size_t i = 1; i < by_rank.size(); ++i)
    for (std::size_t k = 0; k < seen.size(); ++k) {
      const Repeat& theirs = by_rank[i][k];
      seen[k].begin_s = std::min(seen[k].begin_s, theirs.begin_s);
      seen[k].end_s = std::max(seen[k].end_s, theirs.end_s);
      seen[k].issue_s = std::max(seen[k].issue_s, theirs.issue_s);
      seen[k].clock_uncertainties_s.insert(seen[k].clock_uncertainties_s.end(), theirs.clock_uncertainties_s.begin(),
                                           theirs.clock_uncertainties_s.end());
      for (OpId op = s.ops_begin(programs[i].rank); timed && op < s.ops_end(programs[i].rank); ++op) {
        seen[k].trace.start_s[op] = theirs.trace.start_s[op];
        seen[k].trace.end_s[op] = theirs.trace.end_s[op];
      }
    }
  return seen;
}

}  // namespace

RunResult run_on_cuda(const Schedule& s, const cpu::Tensors* given, const RunOptions& options, const Job& job) {
  if (options.transport == Transport::kNccl && options.ranks_per_device > 1)
    throw InvalidInput("NCCL needs a device for each rank: --ranks-per-gpu 1");
  const std::vector<Program> programs = served_programs(s, options, job);
  std::atomic<bool> failed = false;
  Cancellation cancellation(failed);
  std::vector<RankContext> ranks;
  ranks.reserve(programs.size());
  for (const Program& program : programs) {
    ranks.emplace_back(s, program.rank, device_of(program.rank, options, job), options.kernels);
  }
  try {
    job.barrier(deadline_in(kReadySeconds));
    const ClockReading before = read_clock(job, deadline_in(options.timeout_s));
    const bool copies = options.transport == Transport::kCopies || s.lanes() == 1;
    const std::vector<Repeat> seen =
        copies ? run_copies(s, ranks, programs, options, given, cancellation)
               : merged(s, NcclRun(s, ranks, programs, options, job, failed).run(given), programs, options.timed);
    RunResult result = gather_repeats(s, programs, seen, before, options, job);
    if (given != nullptr)
      for (const RankContext& rank : ranks) rank.store(result.outputs);
    return result;
  } catch (const std::exception& e) {
    cancellation.request(e.what());  // before the ranks release their devices
    throw;
  }
}

namespace {

/// The version of the kernel module, such as "580.65.06": the first word of digits and dots in its version file. "of
/// unknown version" if there is none.
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;)
    if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos) return word;
  return "of unknown version";
}

}  // namespace

Devices cuda_devices() {
  const int count = device_count();
  cudaDeviceProp properties{};
  int runtime = 0;
  check(cudaGetDeviceProperties(&properties, 0), "properties of device 0");
  check(cudaRuntimeGetVersion(&runtime), "runtime version");
  return {fmt::format("{}, driver {}, CUDA {}.{}, {}, {}", properties.name, driver_version(), runtime / 1000,
                      runtime % 1000 / 10, fused_attention_version(), nccl_version()),
          count, properties.multiProcessorCount, static_cast<double>(properties.totalGlobalMem)};
}

}  // namespace meshattn::gpu
