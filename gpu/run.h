#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "core/schedule/trace.h"
#include "gpu/job/job.h"
#include "gpu/kernels/kernel_choice.h"

namespace meshattn::gpu {

enum class Backend {
  kCuda,
  kCpu,  ///< threads of this machine as streams, with the reference kernels: to try the way, not to measure speed
};

/// How exchanges are made.
enum class Transport {
  kCopies,  ///< one process; memory of one device or of peers
  kNccl,    ///< a device for each rank, of this process or of several
};

inline constexpr int kMaxCtas = 64;  ///< that NCCL takes

struct RunOptions {
  Backend backend = Backend::kCuda;
  Transport transport = Transport::kCopies;
  Kernels kernels = Kernels::kFast;
  std::vector<int> gpu_of;  ///< by rank: counted over all machines; rank r is on GPU r if this is empty
  int ranks_per_device = 1;
  int warm_ups = 2;
  int repeats = 5;
  double timeout_s = 60;  ///< for each repeat, and for ranks to meet
  int max_ctas = 4;       ///< of an NCCL kernel
  bool timed = true;      ///< each op; else only the whole, by the host's clock
  bool use_tensors =
      true;  ///< given ones come in, and outputs are given back; else made-up ones are there, for the times
};

/// What came of running a schedule.
struct RunResult {
  std::vector<double> makespans_s;  ///< of each repeat; in process 0
  std::vector<double> host_s;       ///< likewise, from the first call of this process's host until it saw the end
  std::vector<double> issue_s;      ///< likewise, until it had issued everything
  Trace trace;                      ///< of the repeat with the median makespan, if timed; in process 0
  double clock_uncertainty_s = 0;   ///< times of different devices are no further off each other; in process 0
  std::vector<Rank> served;         ///< by this process
  cpu::Tensors outputs;             ///< rows of these ranks; NaN elsewhere; none if `numbers` are made up
};

/// Executes a schedule that `verify` has proved. In a job of several processes process p serves the rank that is on
/// GPU p, on the device with its local number; else this process serves all ranks, `ranks_per_device` neighbours on
/// each device.
/// @throws InvalidInput if there are too few devices, processes do not fit ranks, or the backend was not built;
/// DeviceError if a device, its driver or NCCL refuses, or an op does not end in time (which, of every rank).
[[nodiscard]] RunResult run(const Schedule& schedule, const cpu::Tensors& given, const RunOptions& options,
                            const Job& job);

/// What there is to run on.
struct Devices {
  std::string description;  ///< "NVIDIA H200, driver 580.65.06, CUDA 13.0, cuDNN 9.19.0, NCCL 2.28.9"
  int count = 1;            ///< in this process
  int sms = 0;              ///< streaming multiprocessors of one; 0: not such a device
  double memory_bytes = 0;  ///< of one
};

/// @throws InvalidInput if the backend was not built or has no device.
[[nodiscard]] Devices devices(Backend backend);

}  // namespace meshattn::gpu
