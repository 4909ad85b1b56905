#include "gpu/cuda_run.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <barrier>
#include <exception>
#include <fstream>
#include <string>
#include <thread>

#include "core/error.h"
#include "gpu/cuda_device.h"
#include "gpu/measured.h"
#include "gpu/nccl_lanes.h"

namespace meshattn::gpu {

namespace {

int device_of(Rank rank, const RunOptions& options, const Job& job) {
  const int devices = device_count();
  const int of_process = devices == 1 && job.size() > 1 ? 0 : job.local_rank();  // a task may see its own only
  const int device = of_process + (job.size() > 1 ? 0 : gpu_of(rank, options) / options.ranks_per_device);
  if (device >= devices)
    throw InvalidInput(fmt::format("rank {} needs device {}, and there {} {}{}", rank, device,
                                   devices == 1 ? "is" : "are", devices,
                                   options.transport == Transport::kCopies ? ": give --ranks-per-gpu" : ""));
  return device;
}

/// Devices may read each other's memory where they can.
void enable_peers(std::span<const CudaRank> ranks) {
  for (const CudaRank& a : ranks)
    for (const CudaRank& b : ranks) {
      int can = 0;
      if (a.device() == b.device() || cudaDeviceCanAccessPeer(&can, a.device(), b.device()) != cudaSuccess || can == 0)
        continue;
      a.use();
      const cudaError_t status = cudaDeviceEnablePeerAccess(b.device(), 0);
      if (status == cudaErrorPeerAccessAlreadyEnabled)
        (void)cudaGetLastError();
      else
        check(status, "access to a peer");
    }
}

std::vector<Repeat> run_copies(const Schedule& s, std::vector<CudaRank>& ranks, std::span<const Program> programs,
                               const RunOptions& options, const cpu::Tensors* given, LastResort& last_resort) {
  for (CudaRank& rank : ranks) rank.load(given);
  enable_peers(ranks);
  CudaDevice device(s, ranks, programs, {}, last_resort, options.timed);
  return repeat(
      device, options, [&] { issue_copies(s, programs, device); }, [&] { device.set_clocks(); });
}

/// Passes on what went wrong, of several threads all of it: a stuck exchange is seen by each rank at its end.
void rethrow(std::span<const std::exception_ptr> errors) {
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
  if (texts.size() > 1) throw DeviceError(fmt::format("{}", fmt::join(texts, "; ")));
  if (first) std::rethrow_exception(first);
}

/// A thread for each rank that this process serves.
std::vector<std::vector<Repeat>> run_nccl(const Schedule& s, std::vector<CudaRank>& ranks,
                                          std::span<const Program> programs, const RunOptions& options, const Job& job,
                                          const cpu::Tensors* given, LastResort& last_resort) {
  std::vector<ncclUniqueId> ids(static_cast<std::size_t>(s.lanes()) - 1);
  if (job.rank() == 0) std::ranges::generate(ids, new_unique_id);
  job.broadcast(std::as_writable_bytes(std::span(ids)));
  std::vector<std::vector<Repeat>> seen(ranks.size());
  std::vector<std::exception_ptr> errors(ranks.size());
  std::barrier meeting(static_cast<std::ptrdiff_t>(ranks.size()));
  const auto meet = [&] { ranks.size() > 1 ? meeting.arrive_and_wait() : job.barrier(); };
  const auto serve = [&](std::size_t i) {
    try {
      NcclLanes lanes(ranks[i], s.problem.ranks, ids, options.most_ctas, deadline_in(options.timeout_s));
      lanes.connect(programs[i], deadline_in(options.timeout_s));
      ranks[i].load(given);  // not before: connections were made with what lay there
      NcclLanes* mine = &lanes;
      CudaDevice device(s, std::span(&ranks[i], 1), programs.subspan(i, 1), std::span(&mine, 1), last_resort,
                        options.timed);
      seen[i] = repeat(
          device, options, [&] { issue_groups(programs[i], device); },
          [&] {
            meet();
            device.set_clocks();
            device.set_deadline(deadline_in(options.timeout_s));
            meet();
          });
      meet();  // all have got what they were sent
      lanes.close(deadline_in(options.timeout_s));
    } catch (...) {
      errors[i] = std::current_exception();
      meeting.arrive_and_drop();
    }
  };
  if (ranks.size() == 1) {
    serve(0);
  } else {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < ranks.size(); ++i) threads.emplace_back(serve, i);
  }
  rethrow(errors);
  return seen;
}

/// What several ranks saw at once.
std::vector<Repeat> merged(const Schedule& s, std::vector<std::vector<Repeat>> by_rank,
                           std::span<const Program> programs, bool timed) {
  std::vector<Repeat> seen = std::move(by_rank.front());
  for (std::size_t i = 1; i < by_rank.size(); ++i)
    for (std::size_t k = 0; k < seen.size(); ++k) {
      const Repeat& theirs = by_rank[i][k];
      seen[k].begin_s = std::min(seen[k].begin_s, theirs.begin_s);
      seen[k].end_s = std::max(seen[k].end_s, theirs.end_s);
      seen[k].issue_s = std::max(seen[k].issue_s, theirs.issue_s);
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
  prepare_environment();
  const std::vector<Program> programs = served_programs(s, options, job);
  LastResort last_resort;
  std::vector<CudaRank> ranks;
  ranks.reserve(programs.size());
  for (const Program& program : programs) {
    ranks.emplace_back(s, program.rank, device_of(program.rank, options, job), options.kernels);
  }
  const ClockReading before = read_clock(job);
  const bool copies = options.transport == Transport::kCopies || s.lanes() == 1;
  const std::vector<Repeat> seen =
      copies ? run_copies(s, ranks, programs, options, given, last_resort)
             : merged(s, run_nccl(s, ranks, programs, options, job, given, last_resort), programs, options.timed);
  RunResult result = together(s, programs, seen, before, options, job);
  if (given != nullptr)
    for (const CudaRank& rank : ranks) rank.store(result.outputs);
  return result;
}

namespace {

/// "580.65.06": the first word of numbers and dots in what the kernel module says of itself; "of unknown version" if it
/// says nothing.
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;)
    if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos) return word;
  return "of unknown version";
}

}  // namespace

Devices cuda_devices() {
  prepare_environment();
  const int count = device_count();
  cudaDeviceProp properties{};
  int runtime = 0;
  check(cudaGetDeviceProperties(&properties, 0), "properties of device 0");
  check(cudaRuntimeGetVersion(&runtime), "runtime version");
  return {fmt::format("{}, driver {}, CUDA {}.{}, {}, {}", properties.name, driver_version(), runtime / 1000,
                      runtime % 1000 / 10, fast_attention_version(), nccl_version()),
          count, properties.multiProcessorCount, static_cast<double>(properties.totalGlobalMem)};
}

}  // namespace meshattn::gpu
