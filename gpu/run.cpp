#include "gpu/run.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/base/error.h"
#include "gpu/cuda_run.h"
#include "gpu/device/cpu_device.h"
#include "gpu/repeats.h"

namespace meshattn::gpu {

namespace {

RunResult run_schedule_on_cpu(const Schedule& s, const cpu::Tensors* given, const RunOptions& options, const Job& job) {
  if (job.size() > 1 || options.transport != Transport::kCopies)
    throw InvalidInput("--device cpu is one process with --transport copies");
  const std::vector<Program> programs = served_programs(s, options, job);
  const ClockReading before = read_clock(job, deadline_in(options.timeout_s));
  CpuDevice device(s, given);
  const std::vector<Repeat> seen = run_repeats(
      device, options, [&] { issue_copies(s, programs, device); }, [] {});
  RunResult result = gather_repeats(s, programs, seen, before, options, job);
  if (given != nullptr) result.outputs = device.outputs();
  return result;
}

}  // namespace

RunResult run(const Schedule& s, const cpu::Tensors& given, const RunOptions& options, const Job& job) {
  const cpu::Tensors* tensors = options.use_tensors ? &given : nullptr;
  return options.backend == Backend::kCpu ? run_schedule_on_cpu(s, tensors, options, job)
                                          : run_on_cuda(s, tensors, options, job);
}

Devices devices(Backend backend) {
  if (backend == Backend::kCuda) return cuda_devices();
  const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return {fmt::format("{} CPU threads (no GPU: a test of the method)", threads), 1, 0,
          static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE))};
}

}  // namespace meshattn::gpu
