#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/trace.h"
#include "gpu/job/job.h"
#include "gpu/kernels/kernel_choice.h"

namespace meshattn::gpu {

/// The devices that run a schedule.
enum class Backend {
  kCuda,
  kCpu,  ///< threads of this machine as streams, with the reference kernels: for tests, not for times
};

/// The means by which exchanges move bytes.
enum class Transport {
  kCopies,  ///< copies within one device or between peers; one process
  kNccl,    ///< sends and receives; a device for each rank, in one process or several
};

inline constexpr int kMaxCtas = 64;  ///< NCCL's limit

struct RunOptions {
  Backend backend = Backend::kCuda;
  Transport transport = Transport::kCopies;
  Kernels kernels = Kernels::kFast;
  std::vector<int> gpu_of;  ///< by rank, counted over all machines; if empty, rank r is on GPU r
  int ranks_per_device = 1;
  int warm_ups = 2;
  int repeats = 5;
  double timeout_s = 60;    ///< for each repeat, and for processes and ranks to connect
  int max_ctas = 4;         ///< of an NCCL kernel
  bool timed = true;        ///< time each op; else only each repeat, by the host's clock
  bool use_tensors = true;  ///< load the given tensors and return outputs; else use random inputs, for times only
};

/// The result of running a schedule.
struct RunResult {
  std::vector<double> makespans_s;  ///< by repeat; only in process 0
  std::vector<double> host_s;       ///< by repeat: from the first command issued until this process sees the end
  std::vector<double> issue_s;      ///< by repeat: the time in which this process issues all commands
  Trace trace;                      ///< of the repeat with the median makespan, if timed; only in process 0
  double clock_uncertainty_s = 0;   ///< the greatest error between times of two devices; only in process 0
  std::vector<Rank> served;         ///< the ranks of this process
  cpu::Tensors outputs;             ///< the rows of these ranks, NaN elsewhere; empty unless `use_tensors`
};

/// Executes a schedule that `verify` has proved. In a job of several processes, process p serves the rank on GPU p, on
/// the device with the process's local number. A single process serves all ranks, with `ranks_per_device` neighbouring
/// ranks on each device.
/// @throws InvalidInput if there are too few devices, the numbers of processes and ranks differ, or the backend is not
/// built; DeviceError if a device, its driver or NCCL fails, or if an op does not end in time (names one for each rank)
[[nodiscard]] RunResult run(const Schedule& schedule, const cpu::Tensors& given, const RunOptions& options,
                            const Job& job);

/// The devices of a backend.
struct Devices {
  std::string description;  ///< "NVIDIA H200, driver 580.65.06, CUDA 13.0, cuDNN 9.19.0, NCCL 2.28.9"
  int count = 1;            ///< of this process
  int sms = 0;              ///< streaming multiprocessors of one device; 0 for a CPU
  double memory_bytes = 0;  ///< of one device
};

/// @throws InvalidInput if the backend is not built or has no device
[[nodiscard]] Devices devices(Backend backend);

}  // namespace meshattn::gpu
