#include "core/base/error.h"
#include "gpu/cuda_run.h"

namespace meshattn::gpu {

RunResult run_on_cuda(const Schedule&, const cpu::Tensors*, const RunOptions&, const Job&) {
  throw InvalidInput(cuda_devices().description);
}

Devices cuda_devices() {
  throw InvalidInput(
      "this meshattn was built without the CUDA runtime, which needs a CUDA toolkit with NCCL: use --device cpu");
}

}  // namespace meshattn::gpu
