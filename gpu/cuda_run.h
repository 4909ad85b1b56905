#pragma once

#include <string>

#include "gpu/run.h"

namespace meshattn::gpu {

/// `run` on CUDA devices; nothing given: made-up numbers. @throws as it does
[[nodiscard]] RunResult run_on_cuda(const Schedule& schedule, const cpu::Tensors* given, const RunOptions& options,
                                    const Job& job);
[[nodiscard]] Devices cuda_devices();

}  // namespace meshattn::gpu
