#pragma once

#include <string>

#include "gpu/run.h"

namespace meshattn::gpu {

/// run() on CUDA devices. @param given the tensors, or null for random inputs. @throws the exceptions of run()
[[nodiscard]] RunResult run_on_cuda(const Schedule& schedule, const cpu::Tensors* given, const RunOptions& options,
                                    const Job& job);
/// devices() of CUDA.
[[nodiscard]] Devices cuda_devices();

}  // namespace meshattn::gpu
