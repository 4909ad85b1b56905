#include "gpu/run.h"

#include <spdlog/fmt/fmt.h>

#include <thread>

#include "core/error.h"
#include "gpu/cuda_run.h"
#include "gpu/host_device.h"
#include "gpu/measured.h"

namespace meshattn::gpu {

namespace {

RunResult run_on_cpu(const Schedule& s, const cpu::Tensors& given, const RunOptions& options, const Job& job) {
  if (job.size() > 1 || options.transport != Transport::kCopies)
    throw InvalidInput("--device cpu is one process with --transport copies");
  const std::vector<Program> programs = served_programs(s, options, job);
  HostDevice device(s, given);
  const std::vector<Seen> seen = repeat(
      device, options, [&] { issue_copies(s, programs, device); }, [] {});
  RunResult result = together(s, programs, seen, options, job);
  result.outputs = device.outputs();
  return result;
}

}  // namespace

RunResult run(const Schedule& s, const cpu::Tensors& given, const RunOptions& options, const Job& job) {
  return options.backend == Backend::kCpu ? run_on_cpu(s, given, options, job) : run_on_cuda(s, given, options, job);
}

std::string description(Backend backend) {
  if (backend == Backend::kCuda) return cuda_description();
  return fmt::format("{} CPU threads as a device, which says nothing of a GPU's speed",
                     std::thread::hardware_concurrency());
}

}  // namespace meshattn::gpu
